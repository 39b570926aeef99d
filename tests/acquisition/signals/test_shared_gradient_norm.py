import pytest
import torch
from agreement import record
from axioms.autograd import SharedEncoderOutput
from axioms.heads import random_head
from axioms.signals import GradientAxioms

from mtal.acquisition.signals import SharedGradientNorm
from mtal.acquisition.signals.shared_gradient_norm import shared_gradient
from mtal.tasks.posterior import HeadOutput


class TestSharedGradientNorm(GradientAxioms):
    signal = SharedGradientNorm()
    field = "shared_gradient"


def test_is_autograd():
    model = SharedEncoderOutput()
    for task, head in model.heads().items():
        expected = torch.stack([g.norm() for g in model.gradient({task: 1.0})])
        record("shared-gradient norm", "autograd, frame by frame", (SharedGradientNorm()(head) - expected).abs().max())
        torch.testing.assert_close(SharedGradientNorm()(head), expected)


def test_pitfall_11_length_is_euclidean():
    head = HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([[3.0, -4.0]]))
    assert SharedGradientNorm()(head).item() == 5.0


def test_small_gradients_do_not_vanish():
    head = HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([[3e-30, 4e-30]]))
    assert SharedGradientNorm()(head).item() == pytest.approx(5e-30)


def test_missing_gradient_is_named():
    with pytest.raises(ValueError, match="shared-gradient pass"):
        shared_gradient(random_head("bernoulli", 1))
