from itertools import permutations, product

import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, coarse_scores, dominates, random_scores

from mtal.acquisition.fusion import Pareto
from mtal.acquisition.fusion.fronts import leading_fronts
from mtal.acquisition.fusion.pareto import crowding_distance


def crowding_of_one_sort(points, orders):
    """As in the paper: sort by each head, ends infinite, else the gap between the two neighbours over the range."""
    crowding = np.zeros(len(points))
    for column, order in zip(points.T, orders, strict=True):
        crowding[order[0]] = crowding[order[-1]] = np.inf
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            crowding[at] += (column[after] - column[before]) / (column.max() - column.min())
    return crowding


def sorts(column):
    """Every order that a sort may leave ties in."""
    return [list(order) for order in permutations(range(len(column))) if (np.diff(column[list(order)]) >= 0).all()]


class TestPareto(FusionAxioms):
    rule = Pareto()
    choice = "pareto"
    weights_matter = False
    raising_never_lowers = False  # it may come nearer to another of its front

    def test_worked_example(self):
        # front 0: (8, 0), (6, 4), (4, 5), (0, 8); crowding of (6, 4): (8 − 4)/8 + (5 − 0)/8 = 9/8, of (4, 5): 6/8 + 4/8
        # front 1: (4, 4), alone; front 2: (3, 4), (4, 3), both ends
        scores = torch.tensor([[8.0, 0.0], [6.0, 4.0], [4.0, 5.0], [0.0, 8.0], [4.0, 4.0], [3.0, 4.0], [4.0, 3.0]])
        expected = [3 / 4, 9 / 32, 10 / 32, 3 / 4, -1.0, -2 + 3 / 4, -2 + 3 / 4]
        assert Pareto()(scores).tolist() == pytest.approx(expected, rel=1e-14)

    def test_fronts_come_one_after_the_other(self):
        scores = random_scores(300)
        fronts = torch.from_numpy(leading_fronts(scores.numpy(), 300))
        utility = Pareto()(scores)
        assert torch.equal(utility.floor(), -fronts.double())
        assert (utility + fronts < 1).all()

    def test_crowding_agrees_with_the_paper(self):
        scores = random_scores(40).numpy()
        fronts = leading_fronts(scores, 40)
        found = crowding_distance(scores, fronts)
        for front in range(fronts.max() + 1):
            points = scores[fronts == front]
            expected = crowding_of_one_sort(points, points.argsort(axis=0).T)
            ends = np.isinf(expected)
            if len(points) > 1:
                assert np.array_equal(np.isinf(found[fronts == front]), ends)
                error = np.abs(found[fronts == front][~ends] - expected[~ends]).max(initial=0.0)
                record("crowding distance", "loop over sorted fronts", error)
                assert error < 1e-14

    def test_ties_in_a_head_get_the_mean_over_all_orders(self):
        points = np.array(
            [[0.0, 9.0, 3.0], [1.0, 6.0, 5.0], [1.0, 5.0, 7.0], [1.0, 3.0, 9.0], [4.0, 1.0, 7.0], [6.0, 0, 0]]
        )
        every = product(*(sorts(column) for column in points.T))
        expected = np.mean([crowding_of_one_sort(points, orders) for orders in every], axis=0)
        found = crowding_distance(points, np.zeros(6, dtype=int))
        inner = np.isfinite(expected)
        assert inner.sum() == 3
        assert np.array_equal(np.isfinite(found), inner)
        error = np.abs(found[inner] - expected[inner]).max()
        record("crowding distance, ties", "mean over all orders of the ties", error)
        assert error < 1e-14

    def test_head_that_scores_a_front_the_same_says_nothing(self):
        found = crowding_distance(np.array([[0.5, 0.0], [0.5, 1.0], [0.5, 4.0]]), np.zeros(3, dtype=int))
        assert found.tolist() == [np.inf, 1.0, np.inf]

    def test_pitfall_16_equal_frames_keep_their_crowding(self):
        scores = torch.tensor([[8.0, 0.0], [6.0, 4.0], [4.0, 5.0], [0.0, 8.0]])
        once, twice = Pareto()(scores), Pareto()(scores.repeat(2, 1))
        assert torch.equal(twice, once.repeat(2))

    @pytest.mark.parametrize("scores", [random_scores(300), coarse_scores(300, levels=12)], ids=["distinct", "ties"])
    def test_frames_behind_the_depth_follow_in_an_order_that_respects_dominance(self, scores):
        whole, part = Pareto()(scores), Pareto(depth=40)(scores)
        placed = part > -float((whole.floor().sort(descending=True).values[39]).abs()) - 0.5
        assert 40 <= placed.sum() < 150
        assert torch.equal(part[placed], whole[placed])
        assert part[~placed].max() < part[placed].min()
        better = dominates(scores) & ~dominates(scores).T
        assert (part[:, None] > part[None])[better].all()

    def test_frames_behind_the_depth_go_by_their_mean_rank(self):
        # front 0 is (9, 9); ranks (2, 4), (3, 2), (4, 5), (5, 3) of 5: −1 − (mean − 1)/5
        scores = torch.tensor([[9.0, 9.0], [8.0, 2.0], [7.0, 8.0], [6.0, 1.0], [5.0, 7.0]])
        assert Pareto(depth=1)(scores).tolist() == pytest.approx([0.0, -1.4, -1.3, -1.7, -1.6], rel=1e-14)

    def test_depth_below_one_is_refused(self):
        with pytest.raises(ValueError, match="depth of the Pareto rule must be 1 frame or more, not 0"):
            Pareto(depth=0)
