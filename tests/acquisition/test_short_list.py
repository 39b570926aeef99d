from itertools import combinations

import numpy as np
import pytest
import torch

from mtal.acquisition import (
    Acquisition,
    Badge,
    Candidates,
    Entropy,
    GradientBlock,
    JointGradientEmbedding,
    KCenterGreedy,
    Moments,
    PercentileRank,
    Random,
    TopK,
    WeightedMean,
    tie_break,
)
from mtal.acquisition.limits import Limits
from mtal.acquisition.selection import Selection
from mtal.acquisition.selectors import Cap, MinimumGap
from mtal.acquisition.short_list import short_list

IDS = [f"v{k // 10}/{k % 10:06d}" for k in range(60)]
MOMENTS = Moments(np.arange(60) // 10, np.arange(60) % 10 * 1.0)


def pool(seed: int = 0, count: int = 60, **more) -> Candidates:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 2, generator=generator)
    left, right = torch.randn(count, 3, generator=generator), torch.randn(count, 4, generator=generator)
    gradient = JointGradientEmbedding({"tools": GradientBlock(left, right)})
    utility = torch.rand(count, generator=generator, dtype=torch.float64)
    return Candidates(
        tie_break(0, IDS[:count]), utility, gradient, features, moments=MOMENTS.take(slice(0, count)), **more
    )


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def radius(points: torch.Tensor, centres: torch.Tensor) -> float:
    return float(torch.cdist(points.double(), centres.double()).amin(dim=1).max())


@pytest.mark.parametrize("selector", [KCenterGreedy(), Badge(gamma=1.0), TopK(), Random()])
@pytest.mark.parametrize("shortlist", [60, None])
def test_one_stage_where_the_pool_fits(selector, shortlist):
    one = selector(pool(), 7, drawn())
    assert Selection(selector, shortlist=shortlist)(pool(), 7, drawn()).tolist() == one.tolist()


@pytest.mark.parametrize("selector", [TopK(), Random()])
def test_one_stage_where_no_frames_are_compared(selector):
    assert Selection(selector, shortlist=9)(pool(), 7, drawn()).tolist() == selector(pool(), 7, drawn()).tolist()


@pytest.mark.parametrize("selector", [KCenterGreedy(), Badge(gamma=1.0), Badge()])
def test_a_batch_of_the_list(selector):
    """Every block gives what the selector picks in it; its own draws are others than those of the batch."""
    candidates = pool()
    listed = short_list(selector, candidates, 3, 20, drawn())
    assert len(listed) == 20
    own = drawn().spawn(3)
    for k, block in enumerate((slice(0, 20), slice(20, 40), slice(40, 60))):
        picks = selector(candidates.take(block), 3, own[k]) + block.start
        assert set(picks.tolist()) <= set(listed.tolist())
        if "utility" in selector.needs:
            highest = candidates.utility[block].argsort(descending=True)[:3] + block.start
            assert set(highest.tolist()) <= set(listed.tolist())
    picks = Selection(selector, shortlist=20)(candidates, 3, drawn()).tolist()
    assert picks == listed[selector(candidates.take(listed), 3, drawn())].tolist()


def test_the_order_of_the_candidates_does_not_matter():
    candidates, order = pool(), np.random.default_rng(5).permutation(60)
    straight = Selection(Badge(gamma=1.0), shortlist=16)(candidates, 5, drawn())
    turned = Selection(Badge(gamma=1.0), shortlist=16)(candidates.take(order), 5, drawn())
    assert order[turned].tolist() == straight.tolist()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("labelled", [0, 2])
def test_no_frame_is_farther_than_four_times_the_best_radius(seed, labelled):
    """By brute force over all batches; exact greedy alone is bounded by twice it."""
    generator = torch.Generator().manual_seed(100 + seed)
    near = torch.randn(labelled, 2, generator=generator)
    candidates = pool(seed, 18, labelled_features=near)
    x = candidates.features
    best = min(radius(x, torch.cat([near, x[list(batch)]])) for batch in combinations(range(18), 3))
    listed = short_list(KCenterGreedy(), candidates, 3, 6, drawn())
    picks = listed[KCenterGreedy()(candidates.take(listed), 3, drawn())]
    assert len(listed) == 9  # three blocks of three picks, and none is left out for a smaller list
    assert radius(x, torch.cat([near, x[picks]])) <= 4 * best + 1e-6


def test_rules_hold_of_the_batch():
    chooser = Acquisition(
        {"entropy": Entropy()},
        PercentileRank(),
        WeightedMean(),
        KCenterGreedy(),
        shortlist=15,
        minimum_gap_s=2.0,
        max_per_video=2,
    )
    candidates = pool(labelled_moments=Moments(np.array([0]), np.array([5.0])))
    picks = chooser.select(candidates, 9, drawn()).numpy()
    assert len(set(picks.tolist())) == 9
    assert np.bincount(MOMENTS.video[picks]).max() <= 2
    for i, j in combinations(picks.tolist(), 2):
        assert MOMENTS.video[i] != MOMENTS.video[j] or abs(MOMENTS.time_s[i] - MOMENTS.time_s[j]) >= 2
    near = (MOMENTS.video[picks] == 0) & (np.abs(MOMENTS.time_s[picks] - 5.0) < 2)
    assert not near.any()


@pytest.mark.parametrize("unit", ["seconds", "answers"])
def test_budgets_other_than_frames(unit):
    chooser = Acquisition({"entropy": Entropy()}, PercentileRank(), WeightedMean(), KCenterGreedy(), shortlist=15)
    cost = np.random.default_rng(1).integers(1, 4, 60)
    candidates = pool(cost_s=cost.astype(np.float64), answers=cost)
    budget = {"budget_s": 11.0} if unit == "seconds" else {"budget_answers": 11}
    picks = chooser.select(candidates, 60, drawn(), **budget).numpy()
    assert 11 - 3 < cost[picks].sum() <= 11


@pytest.mark.parametrize("limit", ["quota", 3])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore:every patient")  # a cap of 3 gives way where patients are few
def test_a_quota_or_cap_is_kept_as_in_one_stage(seed, limit):
    """Patients of one frame to dozens, scattered over the blocks."""
    generator = drawn(seed)
    patients = generator.choice(8, 60, p=generator.dirichlet(np.full(8, 0.6)))
    labelled = generator.choice(8, 5)
    candidates = pool(seed, patients=patients, labelled_patients=labelled)
    chooser = Selection(KCenterGreedy(), shortlist=13)
    picks = chooser(candidates, 11, drawn(), Limits(max_per_patient=limit)).numpy()
    assert len(set(picks.tolist())) == 11
    taken, left = (np.bincount(patients[some], minlength=8) for some in (picks, np.setdiff1d(np.arange(60), picks)))
    if limit == "quota":
        counted = taken + np.bincount(labelled, minlength=8)
        assert counted[taken > 0].max() <= counted[left > 0].min(initial=99) + 1
    else:
        beyond = 11 - np.minimum(taken + left, limit).sum()  # that cannot be had within the cap
        assert np.maximum(taken - limit, 0).sum() == max(beyond, 0)


def test_frames_without_a_utility_are_not_listed():
    candidates = pool()
    candidates.utility[:25] = torch.nan  # the whole first block, and some of the second
    listed = short_list(Badge(gamma=1.0), candidates, 3, 20, drawn())
    assert listed.min() >= 25


def test_what_gives_way_in_a_block_is_not_told(recwarn):
    """A block of one video cannot meet the cap alone, the pool can."""
    candidates = pool()

    def rules(some):
        return [MinimumGap(1.0, some.moments), Cap(1, some.moments.video)]

    Selection(KCenterGreedy(), shortlist=10)(candidates, 6, drawn(), rules)
    assert not recwarn.list


def test_slices_copy_nothing():
    candidates = pool()
    assert candidates.take(slice(3, 9)).features.data_ptr() == candidates.features[3:].data_ptr()


def test_refuses_no_list_at_all():
    with pytest.raises(ValueError, match="shortlist must be 1 frame or more, or null for no short list, not 0"):
        Selection(TopK(), shortlist=0)
