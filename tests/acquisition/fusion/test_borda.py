import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, coarse_scores, random_scores

from mtal.acquisition.fusion import Borda, RankSum


class TestBorda(FusionAxioms):
    rule = Borda()
    choice = "borda"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # points (2, 1), (½, 2), (½, 0) with weights (2, 1)
        scores = torch.tensor([[0.9, 0.4], [0.1, 0.5], [0.1, 0.2]])
        assert Borda()(scores, torch.tensor([2.0, 1.0])).tolist() == [5.0, 3.0, 1.0]

    @pytest.mark.parametrize("scores", [random_scores(), coarse_scores()], ids=["distinct", "ties"])
    def test_agrees_with_counting_the_frames_below(self, scores):
        weights = np.array([1.0, 2.0, 0.5])
        table = scores.numpy()
        below = (table[:, None] > table[None]).sum(axis=1)  # [N, T]
        level = (table[:, None] == table[None]).sum(axis=1) - 1  # [N, T], without the frame itself
        expected = ((below + level / 2) * weights).sum(axis=1)
        error = np.abs(Borda()(scores, torch.from_numpy(weights)).numpy() - expected).max()
        record("Borda", "count of the frames below, by brute force", error)
        assert error < 1e-12

    def test_same_order_as_the_sum_of_ranks(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        difference = Borda()(scores, weights) - RankSum()(scores, weights)
        torch.testing.assert_close(difference, torch.full_like(difference, 30 * 3.5))
