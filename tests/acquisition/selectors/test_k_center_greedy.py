import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, make, tensors
from scipy.spatial.distance import cdist

from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import (
    Candidates,
    Constraint,
    KCenterGreedy,
    MinimumGap,
    distances,
    lazy_argmax,
    tie_break,
)


class TestKCenterGreedy(SelectorAxioms):
    selector = KCenterGreedy()
    spreads = True


def candidates(features, labelled=None):
    return Candidates(tie_break(0, frame_ids(len(features))), features=features, labelled_features=labelled)


def select(features, budget, labelled=None, constraint=None):
    return KCenterGreedy()(candidates(features, labelled), budget, np.random.default_rng(0), constraint).tolist()


def brute_force(x, picks, budget, labelled):
    """Farthest point first on all pairwise distances."""
    picks = list(picks)
    while len(picks) < budget:
        d = cdist(x, np.concatenate([x[picks], labelled])).min(axis=1)
        d[picks] = -1
        picks.append(int(d.argmax()))
    return picks


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force_from_labelled_frames(seed):
    x = tensors(60, seed)[2]
    picks, expected = select(x[5:], 12, labelled=x[:5]), brute_force(x[5:].numpy(), [], 12, x[:5].numpy())
    record("k-centre greedy", "all pairs by scipy cdist", float(picks != expected))
    assert picks == expected


@pytest.mark.parametrize("labelled", [None, torch.zeros(0, 4, dtype=torch.float64)])
def test_pitfall_15_nothing_labelled_opens_at_the_mean(labelled):
    x = tensors(60)[2].numpy()
    opening = int(cdist(x, x.mean(axis=0, keepdims=True)).argmin())
    expected = brute_force(x, [opening], 12, np.zeros((0, 4)))
    assert select(torch.as_tensor(x), 12, labelled) == expected


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 0, 2, 3], [3, 2, 1, 0], [2, 1, 3, 0]])
def test_opens_at_the_nearest_of_two_that_single_precision_cannot_tell_apart(order):
    # mean (-½, -½ + 3e-8): the first is 2.5 - 3e-8 away (squared), the second 2.5 + 2.7e-7, the others 6.5 and more
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0 + 2**-23], [-3.0, 0.0], [0.0, -3.0]])
    assert select(x[order], 1) == [order.index(0)]


def test_radius_is_at_most_twice_the_best():
    """Gonzalez's bound, against every choice of three centres of ten points."""
    from itertools import combinations

    x = tensors(10)[1].numpy()
    d = cdist(x, x)
    best = min(d[:, list(centres)].min(axis=1).max() for centres in combinations(range(10), 3))
    assert d[:, select(torch.as_tensor(x), 3)].min(axis=1).max() <= 2 * best


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_pitfall_14_duplicates_of_labelled_frames_come_last(offset):
    """In float32 and far from the origin, where |x|² + |y|² − 2⟨x, y⟩ loses every digit of the distance."""
    x = (torch.randn(40, 64, generator=torch.Generator().manual_seed(0)) + offset).float()
    labelled = x[:30]
    picks = select(x, 40, labelled)
    assert sorted(picks[:10]) == list(range(30, 40))
    assert sorted(picks) == list(range(40))


def test_small_distances_far_from_the_origin_keep_their_order():
    """Millionths apart at 10⁴, along one dimension, so that the distances are known."""
    steps = torch.tensor([3.0, 7.0, 1.0, 5.2])
    x = torch.full((4, 64), 1e4, dtype=torch.float64)
    x[:, 0] += steps * 1e-6
    # 7; then 3 is 3 from the labelled 0, against 1.8 and 1; then 5.2
    assert select(x, 4, labelled=torch.full((1, 64), 1e4, dtype=torch.float64)) == [1, 0, 3, 2]


def test_pitfall_14_picks_are_positions_among_the_candidates():
    # two are excluded: positions must still be those of the whole pool
    x = torch.tensor([[0.0], [50.0], [1.0], [9.0], [60.0]])
    excluded = np.array([False, True, False, False, True])
    assert select(x, 2, labelled=torch.tensor([[0.0]]), constraint=Constraint(5, excluded)) == [3, 2]


def test_more_rows_than_are_compared_at_once():
    # 0 is labelled: the other end, then the middle
    x = torch.arange(9001, dtype=torch.float64)[:, None]
    assert select(x, 2, labelled=x[:1]) == [9000, 4500]


def test_disagreeing_features_are_refused():
    with pytest.raises(ValueError, match="4 numbers per frame but labelled_features 3"):
        candidates(torch.zeros(5, 4), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="features is of 5 frames but tie_break of 3"):
        Candidates(tie_break(0, frame_ids(3)), features=torch.zeros(5, 4))
    with pytest.raises(ValueError, match="must be finite"):
        candidates(torch.full((2, 4), torch.nan))


def test_spreads_more_than_the_first_frames_of_a_video():
    utility, left, features = tensors(30)
    picks = KCenterGreedy()(make(utility, left, features), 5, np.random.default_rng(0)).tolist()
    d = cdist(features, features)
    assert d[:, picks].min(axis=1).max() < d[:, :5].min(axis=1).max()


class TestByGradient(SelectorAxioms):
    selector = KCenterGreedy(embedding="gradient")
    spreads = True

    def test_longest_opens_and_then_all_heads_have_a_say(self):
        # tools: 0, 0, 3, -4; bleeding: 1, -2, 0, 0. Mean squares 25/4 and 5/4, so D² is tools/6.25 + bleeding/1.25
        tools, bleeding = torch.tensor([[0.0], [0.0], [3.0], [-4.0]]), torch.tensor([[1.0], [-2.0], [0.0], [0.0]])
        gradient = JointGradientEmbedding({"tools": GradientBlock(tools), "bleeding": GradientBlock(bleeding)})
        pool = Candidates(tie_break(0, frame_ids(4)), gradient=gradient)
        # norms 0.8, 3.2, 1.44, 2.56: 1. From it 7.2, 0, 4.64, 5.76: 0. Then 3.36 of 3 beats 2.24 of 2
        assert self.picks(pool, 4) == [1, 0, 3, 2]

    def test_agrees_with_brute_force(self):
        pool = make(*tensors(40))
        d2 = torch.stack([pool.gradient.sq_distance_to(j) for j in range(40)]).numpy()
        expected = [int(pool.gradient.sq_norm.argmax())]
        while len(expected) < 15:
            expected.append(int(d2[expected].min(axis=0).argmax()))
        assert self.picks(pool, 15) == expected


@pytest.fixture(params=[16, 256])
def large(request, monkeypatch):
    """Gather rows and bring bounds up to date in parts as in a large pool."""
    monkeypatch.setattr(distances, "_KEPT", 0)
    monkeypatch.setattr(lazy_argmax, "_REACH", 16)
    monkeypatch.setattr(lazy_argmax, "_LIST", request.param)


@pytest.mark.usefixtures("large")
class TestLargePool(SelectorAxioms):
    selector = KCenterGreedy()
    spreads = True


def float64_differences(x, picks, budget, labelled, hashes):
    """Farthest point first on float64 differences, the smallest hash among equals."""
    x, labelled = x.double().numpy(), labelled.double().numpy()
    picks, nearest = list(picks), np.full(len(x), np.inf)
    for centre in [*labelled, *x[picks]]:
        nearest = np.minimum(nearest, ((x - centre) ** 2).sum(axis=1))
    while len(picks) < budget:
        free = np.ones(len(x), dtype=bool)
        free[picks] = False
        best = np.flatnonzero(free & (nearest == nearest[free].max()))
        picks.append(int(best[np.argmin(hashes[best])]))
        nearest = np.minimum(nearest, ((x - x[picks[-1]]) ** 2).sum(axis=1))
    return picks


def pool_of(kind):
    x = np.random.default_rng(0).normal(size=(1200, 16))
    if kind == "lattice":  # nothing but ties
        x = np.round(x[:, :5])
    elif kind == "duplicates":
        x = x[np.arange(1200) % 90]
    elif kind == "far":  # float32 has no digit to spare here
        x = 1e-2 * x + 1e4
    elif kind == "outlier":  # whose length would swallow the others' digits
        x[17] *= 1e5
    elif kind == "video":
        x = np.cumsum(0.05 * x, axis=0)
    return torch.from_numpy(x).float()


@pytest.mark.parametrize("kind", ["gaussian", "lattice", "duplicates", "far", "outlier", "video"])
def test_bounds_and_float32_change_no_pick(large, kind):
    x = pool_of(kind)
    labelled, pool, hashes = x[::60], x, tie_break(0, frame_ids(1200))
    expected = float64_differences(pool, [], 100, labelled, hashes)
    picks = select(pool, 100, labelled)
    record("k-centre greedy by bounds", "float64 differences of all pairs", float(picks != expected))
    assert picks == expected


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_fast_products_change_no_pick(large, precision):
    """Training scripts allow torch to cut off the factors of float32 products."""
    x, hashes = pool_of("gaussian"), tie_break(0, frame_ids(1200))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert select(x, 60, x[:20]) == float64_differences(x, [], 60, x[:20], hashes)
    finally:
        torch.set_float32_matmul_precision(before)


def test_bounds_with_nothing_labelled(large):
    x, hashes = pool_of("video"), tie_break(0, frame_ids(1200))
    wide = x.double()
    opening = int((wide - wide.mean(dim=0)).square().sum(dim=1).argmin())
    assert select(x, 50) == float64_differences(x, [opening], 50, x[:0], hashes)


def test_bounds_under_a_gap_that_gives_way(large):
    """Frames that were forbidden come back when the gap is halved, and may then be the farthest."""
    x = pool_of("video")[:300]
    gap = MinimumGap(40.0, Moments(np.zeros(300), np.arange(300.0)))
    with pytest.warns(UserWarning, match="halved"):
        picks = select(x, 30, x[:3], Constraint(300, rules=[gap]))
    gap = MinimumGap(40.0, Moments(np.zeros(300), np.arange(300.0)))
    constraint = Constraint(300, rules=[gap])
    with pytest.warns(UserWarning, match="halved"):
        expected = farthest_allowed(cdist(x.double(), x.double()), range(3), 30, constraint)
    assert picks == expected


def farthest_allowed(distances, labelled, budget, constraint):
    """Farthest point first among the allowed ones."""
    picks = []
    for _ in range(budget):
        reach = distances[:, [*labelled, *picks]].min(axis=1)
        picks.append(int(np.where(constraint.allowed(), reach, -1).argmax()))
        constraint.pick(picks[-1])
    return picks


def test_unknown_embedding_is_refused():
    with pytest.raises(ValueError, match="unknown embedding 'pixels' of k-centre greedy"):
        KCenterGreedy(embedding="pixels")
