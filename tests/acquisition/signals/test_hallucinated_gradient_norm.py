import pytest
import torch
from axioms.autograd import LinearHead
from axioms.heads import random_head
from axioms.signals import SignalAxioms

from mtal.acquisition.gradients import gradient_block
from mtal.acquisition.signals import HallucinatedGradientNorm
from mtal.tasks.posterior import HeadOutput


class TestHallucinatedGradientNorm(SignalAxioms):
    signal = HallucinatedGradientNorm()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sites", [1, 5])
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_is_autograd_under_the_likeliest_label(family, sites, bias):
    head = LinearHead(family, sites, bias=bias)
    expected = torch.stack([g.norm() for g in head.hallucinated_gradients()])
    torch.testing.assert_close(HallucinatedGradientNorm()(head.output), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_no_label_of_one_site_gives_a_shorter_gradient(family):
    head = LinearHead(family, sites=1)
    shortest = torch.stack([g.norm(dim=1).min() for _, g in head.gradients_of_all_labels()])
    torch.testing.assert_close(HallucinatedGradientNorm()(head.output), shortest)


@pytest.mark.parametrize(
    ("family", "sites", "classes"), [("categorical", 1, 3), ("categorical", 5, 3), ("bernoulli", 5, 1)]
)
def test_is_the_norm_of_the_gradient_block(family, sites, classes):
    head = random_head(family, sites, classes=classes)
    torch.testing.assert_close(HallucinatedGradientNorm()(head).square(), gradient_block(head).sq_norm)


def test_resolution_does_not_matter():
    head = LinearHead("categorical", 4, holes=False).output
    finer = HeadOutput("categorical", head.probs.repeat(1, 9, 1), features=head.features.repeat(1, 9, 1))
    torch.testing.assert_close(HallucinatedGradientNorm()(finer), HallucinatedGradientNorm()(head))


def test_pitfall_11_unsure_frames_have_longer_gradients_than_sure_ones():
    probs = torch.tensor([[[0.9, 0.05, 0.05]], [[0.4, 0.3, 0.3]]])
    sure, unsure = HallucinatedGradientNorm()(HeadOutput("categorical", probs, features=torch.ones(2, 1, 3)))
    # ‖(−0.1, 0.05, 0.05)‖·2 and ‖(−0.6, 0.3, 0.3)‖·2
    assert sure.item() == pytest.approx(2 * 0.015**0.5, rel=1e-5)
    assert unsure.item() == pytest.approx(2 * 0.54**0.5, rel=1e-5)
