import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, coarse_scores, random_scores
from scipy.stats import rankdata

from mtal.acquisition.fusion import RankSum


class TestRankSum(FusionAxioms):
    rule = RankSum()
    choice = "rank_sum"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # ranks (1, 2), (2½, 1), (2½, 3) with weights (2, 1)
        scores = torch.tensor([[0.9, 0.4], [0.1, 0.5], [0.1, 0.2]])
        assert RankSum()(scores, torch.tensor([2.0, 1.0])).tolist() == [-4.0, -6.0, -8.0]

    @pytest.mark.parametrize("scores", [random_scores(), coarse_scores()], ids=["distinct", "ties"])
    def test_agrees_with_scipy(self, scores):
        weights = np.array([1.0, 2.0, 0.5])
        expected = -(rankdata(-scores.numpy(), axis=0) * weights).sum(axis=1)
        error = np.abs(RankSum()(scores, torch.from_numpy(weights)).numpy() - expected).max()
        record("rank sum", "scipy.stats.rankdata", error)
        assert error < 1e-12
