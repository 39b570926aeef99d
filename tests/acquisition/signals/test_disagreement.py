import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import torch
from agreement import record
from axioms.heads import KINDS, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import Bald, Disagreement
from mtal.tasks.posterior import HeadOutput


class TestVoteEntropy(MemberAxioms):
    signal = Disagreement()


class TestConsensusKl(MemberAxioms):
    signal = Disagreement("consensus_kl")


@pytest.mark.parametrize("members", [2, 3, 6])
@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_vote_entropy_agrees_with_counting(family, sites, members):
    head = random_members(family, sites, members=members, classes=4)
    probs = head.probs.numpy()
    expected = []
    for n in range(6):
        of_sites = []
        for s in range(sites):
            if not head.mask[n, s]:
                continue
            if family == "categorical":
                ballots, answers = [Counter(int(probs[k, n, s].argmax()) for k in range(members))], 4
            else:
                ballots = [Counter(bool(probs[k, n, s, c] > 0.5) for k in range(members)) for c in range(4)]
                answers = 2
            entropies = [scipy.stats.entropy(list(ballot.values())) for ballot in ballots]
            of_sites.append(np.mean(entropies) / math.log(min(members, answers)))
        expected.append(np.mean(of_sites))
    values = Disagreement()(head).numpy()
    record("disagreement (vote entropy)", "votes counted by loops, scipy entropy", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sites", [1, 5])
def test_consensus_divergence_agrees_with_scipy(sites):
    p = random_members("categorical", sites, classes=4, holes=False).probs.numpy()
    expected = scipy.stats.entropy(p, p.mean(axis=0, keepdims=True), base=4, axis=-1).mean(axis=(0, 2))
    values = Disagreement("consensus_kl")(HeadOutput("categorical", torch.from_numpy(p))).numpy()
    record("disagreement (consensus)", "scipy.stats.entropy(p_k, mean)", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    q = random_members("bernoulli", sites, classes=4, holes=False).probs.numpy()
    both = np.stack([q, 1 - q])
    expected = scipy.stats.entropy(both, both.mean(axis=1, keepdims=True), base=2, axis=0).mean(axis=(0, 2, 3))
    values = Disagreement("consensus_kl")(HeadOutput("bernoulli", torch.from_numpy(q))).numpy()
    record("disagreement (consensus)", "scipy.stats.entropy(p_k, mean)", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-10)


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_consensus_divergence_is_bald(family, sites):
    head = random_members(family, sites)
    torch.testing.assert_close(Disagreement("consensus_kl")(head), Bald()(head))


def test_worked_example():
    # votes 3, 1 of K = 4 on C = 8: H(¾, ¼) = 0.811278 bit of log₂ 4 = 2
    votes = torch.eye(8, dtype=torch.float64)[[5, 5, 5, 2]][:, None, None]
    assert Disagreement()(HeadOutput("categorical", votes)).item() == pytest.approx(0.811278 / 2, abs=1e-6)


def test_aggregations_are_passed_on():
    from mtal.acquisition.aggregation import MaxOverLabels, TopFraction

    sites, labels = TopFraction(0.2), MaxOverLabels()
    signal = Disagreement(sites=sites, labels=labels)
    assert signal.sites is sites
    assert signal.labels is labels


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"unknown kind 'votes'.*vote_entropy and consensus_kl"):
        Disagreement("votes")
