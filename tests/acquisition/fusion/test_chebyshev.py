import math

import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import Chebyshev, WeightedMean


class TestChebyshev(FusionAxioms):
    rule = Chebyshev()
    choice = "chebyshev"

    def test_worked_example(self):
        # ideal (9, 4), v = (1/4, 3/4). Frame 0: gaps (0, 3), weighed (0, 9/4): −9/4 − 0.1 · 9/4
        # frame 1: gaps (4, 0), weighed (1, 0): −1 − 0.1; frame 2: gaps (8, 2), weighed (2, 3/2): −2 − 0.1 · 7/2
        scores = torch.tensor([[9.0, 1.0], [5.0, 4.0], [1.0, 2.0]])
        utility = Chebyshev(rho=0.1)(scores, torch.tensor([1.0, 3.0]))
        assert utility.tolist() == pytest.approx([-2.475, -1.1, -2.35], rel=1e-14)

    @pytest.mark.parametrize("ideal", [None, 1.2])
    def test_agrees_with_a_loop(self, ideal):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        expected = []
        for i in range(30):
            lacking = [
                float(weights[t])
                / 3.5
                * ((max(scores[:, t].tolist()) if ideal is None else ideal) - float(scores[i, t]))
                for t in range(3)
            ]
            expected.append(-(max(lacking) + 0.05 * sum(lacking)))
        error = np.abs(Chebyshev(0.05, ideal)(scores, weights).numpy() - expected).max()
        record("augmented Chebyshev", "loop over frames and heads", error)
        assert error < 1e-14

    def test_reaches_a_dent_of_the_front_that_no_weighted_mean_reaches(self):
        scores = torch.tensor([[1.0, 0.0], [0.4, 0.4], [0.0, 1.0]])
        assert Chebyshev()(scores).argmax() == 1
        assert all(WeightedMean()(scores, torch.tensor([w, 1 - w])).argmax() != 1 for w in torch.linspace(0, 1, 101))

    def test_the_sum_tells_frames_apart_that_the_farthest_head_does_not(self):
        scores = torch.tensor([[0.0, 0.5], [0.0, 0.7], [1.0, 1.0]])
        tied, apart = Chebyshev(rho=0)(scores), Chebyshev()(scores)
        assert tied[0] == tied[1]
        assert apart[1] > apart[0]

    def test_given_ideal_does_not_depend_on_the_pool(self):
        scores = random_scores()
        alone = torch.cat([Chebyshev(ideal=1.0)(row[None]) for row in scores])
        torch.testing.assert_close(alone, Chebyshev(ideal=1.0)(scores))

    def test_head_of_weight_zero_is_not_the_farthest_beyond_a_given_ideal(self):
        # the only head that counts is 1 beyond the ideal
        utility = Chebyshev(rho=0, ideal=1.0)(torch.tensor([[2.0, 0.0]]), torch.tensor([1.0, 0.0]))
        assert utility.item() == 1.0

    @pytest.mark.parametrize("rho", [-0.1, math.inf, math.nan])
    def test_impossible_rho_is_refused(self, rho):
        with pytest.raises(ValueError, match=f"rho .* must be 0 or more and finite, not {rho}"):
            Chebyshev(rho)

    @pytest.mark.parametrize("ideal", [math.inf, math.nan])
    def test_impossible_ideal_is_refused(self, ideal):
        with pytest.raises(ValueError, match=f"ideal .* must be finite or null, not {ideal}"):
            Chebyshev(ideal=ideal)
