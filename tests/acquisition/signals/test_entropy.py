import numpy as np
import scipy.stats
import torch
from agreement import record
from axioms.heads import random_head
from axioms.signals import UncertaintyAxioms

from mtal.acquisition.signals import Entropy
from mtal.tasks.posterior import HeadOutput


class TestEntropy(UncertaintyAxioms):
    signal = Entropy()


def test_agrees_with_scipy_categorical():
    head = random_head("categorical", 5, classes=4, holes=False)
    expected = scipy.stats.entropy(head.probs.numpy(), base=4, axis=-1).mean(axis=1)
    record("entropy", "scipy.stats.entropy", np.abs(Entropy()(head).numpy() - expected).max())
    np.testing.assert_allclose(Entropy()(head).numpy(), expected, rtol=1e-12)


def test_agrees_with_scipy_bernoulli():
    head = random_head("bernoulli", 5, classes=4, holes=False)
    p = head.probs.numpy()
    expected = scipy.stats.entropy(np.stack([p, 1 - p]), base=2, axis=0).mean(axis=(1, 2))
    np.testing.assert_allclose(Entropy()(head).numpy(), expected, rtol=1e-12)


def test_worked_example_averages_valid_sites_only():
    # H(½, ¼, ¼) = 1.5 bit of log₂ 3 = 1.58496 bit; the certain site halves it; the third site does not count
    probs = torch.tensor([[[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.3, 0.3, 0.4]]], dtype=torch.float64)
    valid = torch.tensor([[True, True, False]])
    np.testing.assert_allclose(Entropy()(HeadOutput("categorical", probs, valid)).item(), 1.5 / 1.584962500721156 / 2)


def test_pitfall_8_zero_probability_is_not_nan_and_does_not_rank_first():
    probs = torch.tensor([[[0.0, 1.0]], [[0.4, 0.6]]])
    assert Entropy()(HeadOutput("categorical", probs)).argmax() == 1
