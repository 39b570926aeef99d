from itertools import combinations

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from scipy.spatial.distance import cdist

from mtal.acquisition.selectors import (
    Candidates,
    Constraint,
    FacilityLocation,
    facility_location,
    lazy_argmax,
    tie_break,
)


class TestFacilityLocation(SelectorAxioms):
    selector = FacilityLocation()
    spreads = True


class TestFacilityLocationByUtility(SelectorAxioms):
    selector = FacilityLocation(gamma=1.0)


class TestFacilityLocationOfFewFrames(SelectorAxioms):
    selector = FacilityLocation(max_reference=9)


def select(x, budget, labelled=None, selector=None, utility=None, constraint=None):
    pool = Candidates(tie_break(0, frame_ids(len(x))), utility, features=x, labelled_features=labelled)
    return (selector or FacilityLocation())(pool, budget, np.random.default_rng(0), constraint).tolist()


def left_over(distances, chosen, labelled=None):
    """Σᵢ distance to the nearest, what the picks are to make small."""
    gap = distances[chosen].min(axis=0) if len(chosen) else np.full(distances.shape[1], np.inf)
    return gap if labelled is None else np.minimum(gap, labelled.min(axis=0))


def greedy(distances, budget, weight, labelled=None):
    """All gains at every pick, the smallest hash among equals; ``distances [candidates, represented]``."""
    chosen, hashes = [], tie_break(0, frame_ids(len(distances)))
    for _ in range(budget):
        totals = np.array([weight @ left_over(distances, [*chosen, j], labelled) for j in range(len(distances))])
        totals[chosen] = np.inf
        best = np.flatnonzero(totals <= totals.min() + 1e-9)
        chosen.append(int(best[np.argmin(hashes[best])]))
    return chosen


@pytest.fixture(params=[5, 1024])
def short_list(request, monkeypatch):
    monkeypatch.setattr(lazy_argmax, "_LIST", request.param)
    monkeypatch.setattr(facility_location, "_NUMBERS", 300)  # a few rows at a time


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("labelled", [0, 6])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force(short_list, seed, labelled, offset):
    x = tensors(66, seed)[2] + offset
    seen, pool = x[:labelled], x[labelled:]
    expected = greedy(cdist(pool, pool), 15, np.ones(len(pool)), cdist(seen, pool) if labelled else None)
    picks = select(pool, 15, seen)
    record("facility location", "all gains at every pick", float(picks != expected))
    assert picks == expected


def test_frames_are_represented_by_their_utility():
    x, utility = tensors(50)[2], tensors(50)[0]
    weight = (((utility - utility.min()) / (utility.max() - utility.min())) ** 3).numpy()
    picks = select(x, 10, selector=FacilityLocation(gamma=3.0), utility=utility)
    assert picks == greedy(cdist(x, x), 10, weight)
    assert picks != select(x, 10)


def test_few_frames_stand_for_the_pool():
    x = tensors(50)[2]
    few = np.argsort(tie_break(0, frame_ids(50)))[:20]
    picks = select(x, 8, selector=FacilityLocation(max_reference=20))
    assert picks == greedy(cdist(x, x[few]), 8, np.ones(20))
    assert picks != select(x, 8)


@pytest.mark.parametrize("seed", range(5))
def test_is_at_least_1_minus_1_over_e_of_the_best(seed):
    """Against every batch of three of twelve frames; without a pick all are at the largest distance."""
    x = tensors(12, seed)[2].numpy()
    d = cdist(x, x)

    def value(chosen):
        return (d.max() - left_over(d, list(chosen))).sum()

    best = max(value(chosen) for chosen in combinations(range(12), 3))
    reached = value(select(torch.as_tensor(x), 3))
    assert (1 - 1 / np.e) * best <= reached <= best * (1 + 1e-12)


def test_the_medoid_opens():
    # sums of distances: 21, 19, 19, 24, 35; 1 and 2 tie but for 2.1
    assert select(torch.tensor([[0.0], [1.0], [2.1], [4.0], [9.0]]), 1) == [2]


def test_what_is_labelled_is_represented():
    x = torch.tensor([[0.0], [0.1], [0.2], [7.0]])
    assert select(x, 1) == [1]
    assert select(x, 1, labelled=torch.tensor([[0.1]])) == [3]


def test_forbidden_frames_are_represented_but_not_picked():
    x = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.5]])
    assert select(x, 2, constraint=Constraint(5, np.array([False, True, False, False, True]))) == [2, 3]


def test_few_gains_are_computed_again(monkeypatch):
    asked = []
    exact = facility_location.Gains._exact
    monkeypatch.setattr(facility_location.Gains, "_exact", lambda self, at: asked.append(len(at)) or exact(self, at))
    x = torch.randn(3000, 8, generator=torch.Generator().manual_seed(0))
    select(x, 40, selector=FacilityLocation(max_reference=200))
    assert sum(asked) < 5 * 3000  # of 40 · 3,000


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"gamma": -1.0}, "gamma of facility location"),
        ({"max_reference": 0}, "max_reference .* 1 frame or more, not 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        FacilityLocation(**arguments)
