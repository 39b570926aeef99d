import math
from functools import partial
from itertools import combinations

import moocore
import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, dominates, random_scores

from mtal.acquisition.fusion import HypervolumeGreedy
from mtal.acquisition.fusion import hypervolume_greedy as module
from mtal.acquisition.fusion.fronts import leading_fronts
from mtal.acquisition.fusion.hypervolume_greedy import _AlongRays, _Exact


def volume(points):
    """Inclusion and exclusion over all subsets of the boxes from 0 to each point."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for subset in combinations(points, size):
            total -= (-1) ** size * np.prod(np.min(subset, axis=0))
    return total


def greedy(points, volume_of):
    """Brute force: every gain anew for every place."""
    left, picked = list(range(len(points))), []
    while left:
        gains = [volume_of(points[[*picked, i]]) for i in left]
        picked.append(left.pop(int(np.argmax(gains))))
    return picked


def one_front(frames, heads, seed=0):
    """Random points none of which dominates another."""
    scores = random_scores(4000, seed, heads).numpy()
    return scores[leading_fronts(scores, 1) == 0][:frames]


def places(utility):
    return utility.argsort(descending=True, stable=True).tolist()


class HypervolumeAxioms(FusionAxioms):
    choice = "hypervolume_greedy"
    lowest, highest = 0.0, 1.0


class TestHypervolumeGreedy(HypervolumeAxioms):
    rule = HypervolumeGreedy()

    def test_worked_example(self):
        # volumes 20, 25, 18, 12 hundredths; once (.5, .5) is in, (1, .2) adds 10, (.2, .9) adds 8; (.4, .3) is
        # dominated, so it is alone in the next front
        scores = torch.tensor([[1.0, 0.2], [0.5, 0.5], [0.2, 0.9], [0.4, 0.3]])
        assert HypervolumeGreedy(reference=0)(scores).tolist() == [-1.0, 0.0, -2.0, -3.0]

    def test_frames_behind_the_depth_go_by_their_own_volume(self):
        scores = torch.tensor([[1.0, 0.2], [0.5, 0.5], [0.2, 0.9], [0.4, 0.3]], dtype=torch.float64)
        utility = HypervolumeGreedy(depth=1, reference=0)(scores)
        assert utility.tolist() == pytest.approx([-2 + 0.2, 0.0, -2 + 0.18, -2 + 0.12], rel=1e-14)

    def test_weights_are_exponents(self):
        # v = (3/2, 1/2): volumes 1 · 0.2, 0.125 · 0.8, 0.008 · 0.9 of (1, .04), (.25, .64), (.04, .81)
        scores = torch.tensor([[1.0, 0.04], [0.25, 0.64], [0.04, 0.81]], dtype=torch.float64)
        utility = HypervolumeGreedy(depth=1, reference=0)(scores, torch.tensor([3.0, 1.0]))
        assert utility.tolist() == pytest.approx([0.0, -2 + 0.1, -2 + 0.0072], rel=1e-13)

    def test_volume_counts_from_the_reference(self):
        # from −1 the volumes are (1.1 · 1.6, 1.3 · 1.3)/4 = 0.44, 0.4225, from 0 they are 0.06, 0.09
        scores = torch.tensor([[0.1, 0.6], [0.3, 0.3]])
        assert places(HypervolumeGreedy(reference=-1)(scores)) == [0, 1]
        assert places(HypervolumeGreedy(reference=0)(scores)) == [1, 0]
        behind = torch.cat([scores.double(), torch.full((1, 2), 0.9)])
        utility = HypervolumeGreedy(depth=1, reference=-1)(behind)
        assert utility[:2].tolist() == pytest.approx([-2 + 0.44, -2 + 0.4225], rel=1e-7)

    @pytest.mark.parametrize("heads", [2, 3, 4])
    def test_agrees_with_brute_force(self, heads):
        points = one_front(9, heads)
        found = places(HypervolumeGreedy(reference=0)(torch.from_numpy(points)))
        expected = greedy(points, volume)
        record("hypervolume greedy", "brute force, volumes by inclusion and exclusion", float(found != expected))
        assert found == expected

    def test_agrees_with_brute_force_by_moocore(self):
        scores = random_scores(120).numpy()
        fronts = leading_fronts(scores, 120)
        expected = []
        for front in range(fronts.max() + 1):
            members = np.flatnonzero(fronts == front)
            picks = greedy(scores[members], lambda p: moocore.hypervolume(p, ref=0, maximise=True))
            expected += members[picks].tolist()
        found = places(HypervolumeGreedy(reference=0)(torch.from_numpy(scores)))
        record("hypervolume greedy", "brute force, volumes by moocore, front by front", float(found != expected))
        assert found == expected

    def test_gains_add_up_to_the_volume(self):
        points = one_front(30, 3)
        exact, total = _Exact(points), 0.0
        for i in range(30):
            total += exact.gain(i)
            exact.add(i)
        error = abs(total - moocore.hypervolume(points, ref=0, maximise=True))
        record("hypervolume, sum of gains", "moocore.hypervolume", error)
        assert error < 1e-13

    def test_within_the_bound_of_the_best_batch(self):
        points = one_front(12, 3)
        picked = points[places(HypervolumeGreedy(reference=0)(torch.from_numpy(points)))[:4]]
        best = max(volume(np.array(batch)) for batch in combinations(points, 4))
        assert (1 - 1 / math.e) * best <= volume(picked) <= best + 1e-12

    @pytest.mark.parametrize("depth", [1, 20, 45])
    def test_depth_changes_only_what_is_behind(self, depth):
        scores = random_scores(90)
        whole, part = HypervolumeGreedy()(scores), HypervolumeGreedy(depth=depth)(scores)
        order = places(whole)
        assert torch.equal(part[order[:depth]], whole[order[:depth]])
        assert (part[order[depth:]] <= -depth).all()
        better = dominates(scores) & ~dominates(scores).T
        assert (part[:, None] > part[None])[better].all()

    def test_at_reference_zero_each_head_has_a_veto(self):
        scores = torch.tensor([[1.0, 0.0], [0.1, 0.1]])
        assert places(HypervolumeGreedy(reference=0)(scores)) == [1, 0]
        assert places(HypervolumeGreedy()(scores)) == [0, 1]

    def test_pitfall_16_equal_frames_take_one_place(self):
        scores = torch.tensor([[1.0, 0.2], [0.5, 0.5], [0.5, 0.5], [0.2, 0.9]])
        assert HypervolumeGreedy(reference=0)(scores).tolist() == [-1.0, 0.0, 0.0, -2.0]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("depth", 0),
            ("reference", 0.1),
            ("reference", -math.inf),
            ("reference", math.nan),
            ("exact_heads", -1),
            ("directions", 0),
        ],
    )
    def test_impossible_parameters_are_refused(self, name, value):
        with pytest.raises(ValueError, match=f"{name} of the hypervolume rule must be .* not {value}"):
            HypervolumeGreedy(**{name: value})


class TestHypervolumeAlongRays(HypervolumeAxioms):
    rule = HypervolumeGreedy(exact_heads=0, directions=64)

    @pytest.mark.parametrize(("heads", "tolerance"), [(1, 1e-12), (2, 0.001), (3, 0.005), (6, 0.03)])
    def test_volume_of_a_batch_agrees_with_moocore(self, heads, tolerance):
        points = one_front(25, heads) if heads > 1 else random_scores(1, heads=1).numpy()
        rays, total = _AlongRays(points, 2048), 0.0
        for i in range(len(points)):
            total += rays.gain(i)
            rays.add(i)
        error = abs(total / moocore.hypervolume(points, ref=0, maximise=True) - 1)
        record(f"hypervolume along 2048 rays, {heads} heads", "moocore.hypervolume, relative", error)
        assert error < tolerance

    @pytest.mark.parametrize(("heads", "least"), [(6, 0.995), (9, 0.98), (12, 0.93)])
    def test_keeps_the_order_of_volumes(self, heads, least):
        points = random_scores(60, heads=heads).numpy()
        estimate, exact = _AlongRays(points, 2048).own(), points.prod(axis=1)
        assert np.corrcoef(np.log(estimate), np.log(exact))[0, 1] > least

    def test_agrees_with_brute_force_over_the_same_rays(self):
        points = one_front(15, 7)
        found = places(HypervolumeGreedy(reference=0)(torch.from_numpy(points)))

        def volume_of(batch):
            rays = _AlongRays(batch, 2048)
            for i in range(len(batch)):
                rays.add(i)
            return rays.covered.mean()

        expected = greedy(points, volume_of)
        record("hypervolume greedy, 7 heads", "brute force over the same rays", float(found != expected))
        assert found == expected

    def test_nearly_the_exact_order(self):
        scores = random_scores(150)
        exact, estimated = HypervolumeGreedy()(scores), HypervolumeGreedy(exact_heads=2)(scores)
        assert len(set(places(exact)[:20]) & set(places(estimated)[:20])) >= 19
        assert not torch.equal(exact, estimated)
        assert torch.equal(exact, HypervolumeGreedy(exact_heads=3)(scores))

    def test_along_one_ray_one_frame_reaches_farthest(self):
        # 1.2207⁴ = 1.2207 + 1; ½ + (0.819, 0.671, 0.550) mod 1 = (0.319, 0.171, 0.050): a ray nearest the first axis
        scores = torch.tensor([[0.5, 0.5, 1.0], [1.0, 0.5, 0.5]])
        assert places(HypervolumeGreedy(exact_heads=0, directions=1)(scores)) == [1, 0]


def test_a_depth_beyond_the_fronts_that_are_sorted_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(module, "leading_fronts", partial(leading_fronts, sort_whole_up_to=20))
    utility = HypervolumeGreedy(depth=30)(random_scores(60, heads=6))
    assert utility.isfinite().all()
    assert len(utility.unique()) == 60
