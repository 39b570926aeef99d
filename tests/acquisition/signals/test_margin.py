import pytest
import torch
from axioms.heads import random_head
from axioms.signals import UncertaintyAxioms

from mtal.acquisition.signals import LeastConfidence, Margin
from mtal.tasks.posterior import HeadOutput


class TestMargin(UncertaintyAxioms):
    signal = Margin()


@pytest.mark.parametrize(
    ("probs", "expected"),
    [([0.6, 0.3, 0.1], 0.7), ([0.1, 0.3, 0.6], 0.7), ([0.45, 0.1, 0.45], 1.0), ([0.2, 0.8, 0.0], 0.4)],
)
def test_worked_examples_categorical(probs, expected):
    head = HeadOutput("categorical", torch.tensor([[probs]], dtype=torch.float64))
    assert Margin()(head).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sites", [1, 3000])  # few enough for NumPy, and too many
def test_is_the_gap_of_the_sorted_probabilities(sites):
    head = random_head("categorical", sites, frames=2, classes=7, holes=False)
    falling = head.probs.sort(dim=-1, descending=True).values  # [2, S, 7]
    expected = (1 - falling[..., 0] + falling[..., 1]).mean(dim=1)
    torch.testing.assert_close(Margin()(head), expected)


def test_worked_example_bernoulli():
    # 1 − |2·0.9 − 1| = 0.2 and 1 − |2·0.4 − 1| = 0.8, mean 0.5
    head = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.4]]], dtype=torch.float64))
    assert Margin()(head).item() == pytest.approx(0.5, abs=1e-12)


def test_is_least_confidence_on_two_answers():
    p = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(Margin()(HeadOutput("bernoulli", p)), LeastConfidence()(HeadOutput("bernoulli", p)))
