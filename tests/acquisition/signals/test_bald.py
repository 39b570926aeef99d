import math

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS, random_head, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import Bald, PredictiveEntropy
from mtal.tasks.posterior import HeadOutput


class TestBald(MemberAxioms):
    signal = Bald()


def by_enumeration(joint):
    """I(y; k) from the table of the joint distribution of answer and member, in nats."""
    members, answers = len(joint), len(joint[0])
    total = 0.0
    for k in range(members):
        for y in range(answers):
            p_k, p_y = sum(joint[k]), sum(joint[m][y] for m in range(members))
            if joint[k][y] > 0:
                total += joint[k][y] * math.log(joint[k][y] / (p_k * p_y))
    return total


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_is_the_mutual_information_of_answer_and_member(family, sites):
    head = random_members(family, sites, members=5)
    probs = head.probs.numpy()
    expected = []
    for n in range(6):
        of_sites = []
        for s in range(sites):
            if not head.mask[n, s]:
                continue
            if family == "categorical":
                of_sites.append(by_enumeration(probs[:, n, s] / 5) / math.log(3))
            else:
                answers = [np.stack([probs[:, n, s, c], 1 - probs[:, n, s, c]], axis=1) / 5 for c in range(3)]
                of_sites.append(np.mean([by_enumeration(a) for a in answers]) / math.log(2))
        expected.append(np.mean(of_sites))
    values = Bald()(head).numpy()
    record("BALD", "mutual information of the joint table, by loops", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-10)


def test_worked_example():
    # p̄ = 0.6: H = 0.970951 bit; H(0.9) = 0.468996, H(0.3) = 0.881291, mean 0.675143; the difference is 0.295807
    members = torch.tensor([0.9, 0.3], dtype=torch.float64)[:, None, None, None]
    assert Bald()(HeadOutput("bernoulli", members)).item() == pytest.approx(0.295807, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_never_negative(dtype):
    """Rounding alone would make it so where members agree."""
    probs = random_head("categorical", 1, frames=500).probs.to(dtype)
    assert (Bald()(HeadOutput("categorical", probs.repeat(7, 1, 1, 1))) >= 0).all()


def test_at_most_what_tells_members_apart():
    members = torch.eye(10, dtype=torch.float64)[:2, None, None]  # two members, each sure of its own of ten classes
    assert Bald()(HeadOutput("categorical", members)).item() == pytest.approx(math.log(2) / math.log(10))


def test_pitfall_9_ranks_by_disagreement_and_not_by_entropy():
    """All members unsure is not members that differ, and the rest of the pool takes nothing off."""
    all_unsure, differ = torch.tensor([0.5, 0.5]), torch.tensor([0.95, 0.55])
    members = torch.stack([all_unsure, differ], dim=1)[:, :, None, None]  # [2 members, 2 frames, 1, 1]
    head = HeadOutput("bernoulli", members)
    bald, entropy = Bald()(head), PredictiveEntropy()(head)
    assert bald[1] > bald[0]
    assert entropy[0] > entropy[1]
    alone = Bald()(HeadOutput("bernoulli", members[:, 1:]))
    assert alone.item() == bald[1].item()


def test_pitfall_8_members_sure_of_zero_are_not_nan():
    members = torch.tensor([[[[1.0, 0.0, 0.0]]], [[[0.0, 1.0, 0.0]]]], dtype=torch.float64)
    assert Bald()(HeadOutput("categorical", members)).item() == pytest.approx(math.log(2) / math.log(3))
