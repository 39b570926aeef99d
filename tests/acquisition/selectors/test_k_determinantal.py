from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from scipy.stats import chisquare

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import (
    Candidates,
    Constraint,
    KDeterminantal,
    MinimumGap,
    k_determinantal,
    lazy_argmax,
    tie_break,
)


class TestKDeterminantal(SelectorAxioms):
    selector = KDeterminantal()


class TestKDeterminantalByLikenessAlone(SelectorAxioms):
    selector = KDeterminantal(gamma=0.0)


class TestKDeterminantalSampled(SelectorAxioms):
    selector = KDeterminantal(mode="sample")
    seeded = True
    prefix_stable = False  # a batch of another size is another draw


def kernel(x, utility, gamma):
    """L as it is defined."""
    x = x.numpy()
    quality = ((utility - utility.min()) / (utility.max() - utility.min())).numpy() ** gamma
    cosine = (x @ x.T) / np.outer(*2 * [np.linalg.norm(x, axis=1)])
    return quality[:, None] * cosine * quality


def select(x, utility, budget, seed=0, constraint=None, **options):
    pool = Candidates(tie_break(0, frame_ids(len(x))), utility, features=x)
    return KDeterminantal(**options)(pool, budget, np.random.default_rng(seed), constraint).tolist()


@pytest.fixture(params=["measured", "bounded"])
def size(request, monkeypatch):
    if request.param == "bounded":
        monkeypatch.setattr(k_determinantal, "_SMALL", 0)
        monkeypatch.setattr(lazy_argmax, "_REACH", 4)
        monkeypatch.setattr(lazy_argmax, "_LIST", 7)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_map_takes_the_largest_determinant_at_every_pick(size, seed, gamma):
    """Also beyond the rank, 4."""
    utility, _, x = tensors(40, seed)
    L = kernel(x, utility, gamma) + 1e-3 * np.eye(40)
    hashes, expected = tie_break(0, frame_ids(40)), []
    while len(expected) < 12:
        volume = np.array(
            [
                -np.inf if j in expected else np.linalg.slogdet(L[np.ix_([*expected, j], [*expected, j])])[1]
                for j in range(40)
            ]
        )
        best = np.flatnonzero(volume >= volume.max() - 1e-9)  # all frames alone have the same volume where gamma is 0
        expected.append(int(best[np.argmin(hashes[best])]))
    picks = select(x, utility, 12, gamma=gamma, ridge=1e-3)
    record("k-determinantal, map", "log det of every choice at every pick", float(picks != expected))
    assert picks == expected


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_samples_have_probability_proportional_to_the_determinant(gamma):
    """Every batch of three of seven frames in four dimensions, by enumeration."""
    utility, _, x = tensors(7)
    L = kernel(x, utility, gamma)
    subsets = list(combinations(range(7), 3))
    volume = np.array([np.linalg.det(L[np.ix_(s, s)]) for s in subsets]).clip(min=0)
    draws = 800
    seen = Counter(tuple(sorted(select(x, utility, 3, seed, mode="sample", gamma=gamma))) for seed in range(draws))
    expected = draws * volume / volume.sum()
    often = expected >= 5
    observed = np.array([seen[s] for s in subsets])
    assert observed[expected < 1e-6].sum() == 0
    p = chisquare(
        np.append(observed[often], observed[~often].sum()), np.append(expected[often], expected[~often].sum() + 1e-9)
    ).pvalue
    error = np.abs(observed - expected).max() / draws  # of 800 draws
    record("k-determinantal, sample", "all batches enumerated, frequency in 800 draws", error)
    assert p > 0.001


def test_parallel_frames_are_never_sampled_together():
    x = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 1.0]])
    for seed in range(40):
        picks = select(x, None, 3, seed, mode="sample", gamma=0.0)
        assert {(0, 0, 1, 1, 2)[i] for i in picks} == {0, 1, 2}


def test_map_spans_the_space_first():
    x = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 1.0]])
    picks = select(x, None, 5, gamma=0.0)
    assert {(0, 0, 1, 1, 2)[i] for i in picks[:3]} == {0, 1, 2}


def test_length_of_the_features_does_not_matter():
    utility, _, x = tensors(30)
    longer = x * torch.linspace(0.1, 50, 30)[:, None]
    for mode in ("map", "sample"):
        assert select(longer, utility, 4, mode=mode) == select(x, utility, 4, mode=mode)


def test_features_of_no_length_are_picked_once():
    """Their lengths have no inverse in single precision."""
    x = torch.randn(50, 4, generator=torch.manual_seed(0)) * 1e-39
    picks = select(x, torch.ones(50), 8, gamma=0.0)
    assert len(set(picks)) == 8


def test_beyond_the_rank_sampling_begins_anew():
    """In one dimension every batch is of one frame."""
    picks = select(torch.ones(6, 1), None, 6, mode="sample", gamma=0.0)
    assert sorted(picks) == list(range(6))


def test_utility_draws_frames_in():
    utility = torch.tensor([0.0, 0.1, 0.2, 1.0, 0.9])
    x = torch.tensor([[1.0, 0.2], [0.2, 1.0], [-1.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    assert select(x, utility, 2) == [3, 4]


def test_frame_of_no_quality_comes_last():
    utility = torch.tensor([0.5, 0.0, 1.0, 0.9])
    x = torch.eye(4)
    assert select(x, utility, 4)[-1] == 1
    assert all(select(x, utility, 4, seed, mode="sample")[-1] == 1 for seed in range(5))


def test_samples_go_on_where_a_frame_is_forbidden():
    utility, _, x = tensors(12)
    excluded = np.arange(12) < 6
    for seed in range(10):
        picks = select(x, utility, 6, seed, Constraint(12, excluded), mode="sample")
        assert sorted(picks) == list(range(6, 12))


def test_samples_begin_anew_where_only_parallel_frames_are_allowed():
    """0 and 2 are too close in time to be picked both, and 1 is parallel to 0."""
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    seen = set()
    for seed in range(20):
        gap = MinimumGap(1.0, Moments(np.zeros(3), np.array([0.0, 100.0, 0.5])))
        seen.add(tuple(sorted(select(x, None, 2, seed, Constraint(3, rules=[gap]), mode="sample", gamma=0.0))))
    assert seen == {(0, 1), (1, 2)}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"mode": "greedy"}, "unknown mode 'greedy' of k-determinantal"),
        ({"gamma": -1.0}, "gamma of k-determinantal"),
        ({"ridge": 0.0}, "ridge of k-determinantal must be above 0, not 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        KDeterminantal(**arguments)


def test_needs_utilities_only_where_they_count():
    assert KDeterminantal(gamma=0.0).needs == {"features"}
    assert KDeterminantal().needs == {"features", "utility"}
