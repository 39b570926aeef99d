import numpy as np
import pytest
import scipy.stats
import torch
from agreement import record
from axioms.heads import KINDS, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import Entropy, PredictiveEntropy
from mtal.tasks.posterior import HeadOutput


class TestPredictiveEntropy(MemberAxioms):
    signal = PredictiveEntropy()
    measures_disagreement = False


@pytest.mark.parametrize("sites", [1, 5])
def test_agrees_with_scipy(sites):
    p = random_members("categorical", sites, classes=4, holes=False).probs.numpy()
    expected = scipy.stats.entropy(p.mean(axis=0), base=4, axis=-1).mean(axis=1)
    values = PredictiveEntropy()(HeadOutput("categorical", torch.from_numpy(p))).numpy()
    record("predictive entropy", "scipy.stats.entropy", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    q = random_members("bernoulli", sites, classes=4, holes=False).probs.numpy()
    mean = q.mean(axis=0)
    expected = scipy.stats.entropy(np.stack([mean, 1 - mean]), base=2, axis=0).mean(axis=(1, 2))
    values = PredictiveEntropy()(HeadOutput("bernoulli", torch.from_numpy(q))).numpy()
    record("predictive entropy", "scipy.stats.entropy", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_is_the_entropy_that_other_signals_give_members(family, sites):
    head = random_members(family, sites)
    torch.testing.assert_close(PredictiveEntropy()(head), Entropy()(head))


def test_pitfall_8_members_sure_of_zero_are_not_nan():
    members = torch.tensor([[[[1.0, 0.0, 0.0]]], [[[1.0, 0.0, 0.0]]]])
    assert PredictiveEntropy()(HeadOutput("categorical", members)).tolist() == [0.0]
