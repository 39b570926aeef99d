import pytest
import torch
from axioms.signals import UncertaintyAxioms

from mtal.acquisition.signals import LeastConfidence
from mtal.tasks.posterior import HeadOutput


class TestLeastConfidence(UncertaintyAxioms):
    signal = LeastConfidence()


@pytest.mark.parametrize(
    ("probs", "expected"),
    [([0.6, 0.3, 0.1], 0.6), ([0.1, 0.3, 0.6], 0.6), ([0.7, 0.3], 0.6), ([0.4, 0.2, 0.2, 0.2], 0.8)],
)
def test_worked_examples_categorical(probs, expected):
    # (1 − max p)·C/(C − 1): 0.4·3/2, the same, 0.3·2/1, 0.6·4/3
    head = HeadOutput("categorical", torch.tensor([[probs]], dtype=torch.float64))
    assert LeastConfidence()(head).item() == pytest.approx(expected, abs=1e-12)


def test_worked_example_bernoulli():
    # 2·min(0.9, 0.1) = 0.2, 2·min(0.3, 0.7) = 0.6, mean 0.4
    head = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.3]]], dtype=torch.float64))
    assert LeastConfidence()(head).item() == pytest.approx(0.4, abs=1e-12)
