from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import VariationRatio
from mtal.tasks.posterior import HeadOutput


class TestVariationRatio(MemberAxioms):
    signal = VariationRatio()

    def test_each_member_twice_is_no_more_than_once(self, family, sites):
        """Up to the maximum: eight members can split over three answers more evenly than four."""
        head, answers = self.head(family, sites), 2 if family == "bernoulli" else 3
        twice = self.signal(replace(head, probs=head.probs.repeat(2, 1, 1, 1)))
        torch.testing.assert_close(twice * evenest(8, answers), self.signal(head) * evenest(4, answers))


def evenest(members, answers):
    """The largest share outside the mode, over all ways to hand out the votes one by one."""
    votes = [0] * answers
    for k in range(members):
        votes[k % answers] += 1
    return 1 - max(votes) / members


@pytest.mark.parametrize("members", [2, 3, 4, 7])
@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_agrees_with_counting(family, sites, members):
    head = random_members(family, sites, members=members)
    probs = head.probs.numpy()
    expected = []
    for n in range(6):
        of_sites = []
        for s in range(sites):
            if not head.mask[n, s]:
                continue
            if family == "categorical":
                ballots = [Counter(int(probs[k, n, s].argmax()) for k in range(members))]
            else:
                ballots = [Counter(bool(probs[k, n, s, c] > 0.5) for k in range(members)) for c in range(3)]
            answers = 3 if family == "categorical" else 2
            outvoted = [1 - ballot.most_common(1)[0][1] / members for ballot in ballots]
            of_sites.append(np.mean(outvoted) / evenest(members, answers))
        expected.append(np.mean(of_sites))
    values = VariationRatio()(head).numpy()
    record("variation ratio", "votes counted by loops", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


def test_ties_are_one_vote_each():
    """Members that say the same are unanimous, also where they cannot decide."""
    undecided = torch.full((4, 2, 1, 3), 1 / 3)
    assert VariationRatio()(HeadOutput("categorical", undecided)).tolist() == [0.0, 0.0]
    assert VariationRatio()(HeadOutput("bernoulli", torch.full((4, 2, 1, 3), 0.5))).tolist() == [0.0, 0.0]


def test_worked_example():
    # votes 3, 1, 1 of K = 5 on C = 3: (1 − 3/5)/(1 − ⌈5/3⌉/5) = 0.4/0.6
    votes = torch.eye(3, dtype=torch.float64)[[0, 0, 0, 1, 2]][:, None, None]
    assert VariationRatio()(HeadOutput("categorical", votes)).item() == pytest.approx(2 / 3)
