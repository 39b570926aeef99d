import numpy as np
import pytest
import torch
from axioms.selectors import SelectorAxioms, frame_ids, make, tensors
from scipy.spatial.distance import cdist

from mtal.acquisition.selectors import Candidates, Constraint, KCenterGreedy, tie_break


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
    assert select(x[5:], 12, labelled=x[:5]) == brute_force(x[5:].numpy(), [], 12, x[:5].numpy())


@pytest.mark.parametrize("labelled", [None, torch.zeros(0, 4, dtype=torch.float64)])
def test_pitfall_15_nothing_labelled_opens_at_the_mean(labelled):
    x = tensors(60)[2].numpy()
    opening = int(cdist(x, x.mean(axis=0, keepdims=True)).argmin())
    expected = brute_force(x, [opening], 12, np.zeros((0, 4)))
    assert select(torch.as_tensor(x), 12, labelled) == expected


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
