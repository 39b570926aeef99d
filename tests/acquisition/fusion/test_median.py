import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, coarse_scores, random_scores

from mtal.acquisition.fusion import Median


class TestMedian(FusionAxioms):
    rule = Median()
    choice = "median"
    is_mean = True

    @pytest.mark.parametrize("heads", [1, 2, 3, 4, 7])
    def test_agrees_with_numpy(self, heads):
        scores = random_scores(50, heads=heads)
        error = np.abs(Median()(scores).numpy() - np.median(scores, axis=1)).max()
        record("median, equal weights", "numpy.median", error)
        assert error < 1e-15

    @pytest.mark.parametrize("weights", [[1, 2, 3], [1, 1, 2], [5, 1, 1], [2, 2, 1, 1], [1, 2, 4, 8, 1]])
    def test_weight_is_as_good_as_repetition(self, weights):
        for scores in (random_scores(50, heads=len(weights)), coarse_scores(50, heads=len(weights))):
            expected = np.median(np.repeat(scores.numpy(), weights, axis=1), axis=1)
            error = np.abs(Median()(scores, torch.tensor(weights) / 10).numpy() - expected).max()
            record("median, weighted", "numpy.median of repeated columns", error)
            assert error < 1e-15

    def test_worked_example(self):
        # 0.1 + 0.2 of the weight 0.6 is half, whatever the rounding says: the mean of 2 and 3
        assert Median()(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0.1, 0.2, 0.3]).double()).item() == 2.5
        # 0.1 and 0.15 of 0.6 are less than half
        assert Median()(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0.1, 0.15, 0.35]).double()).item() == 3.0

    def test_one_head_cannot_lift_a_frame(self):
        assert Median()(torch.tensor([[0.2, 0.3, 1e6]])).item() == pytest.approx(0.3)
