from itertools import product

import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import NoisyOr


class TestNoisyOr(FusionAxioms):
    rule = NoisyOr()
    choice = "noisy_or"
    lowest, highest = 0.0, 1.0
    is_probability = True

    def test_agrees_with_enumerating_who_gains(self):
        scores = random_scores(20, heads=4)
        expected = []
        for row in scores.tolist():
            outcomes = product([False, True], repeat=4)
            chances = [np.prod([s if g else 1 - s for s, g in zip(row, o, strict=True)]) for o in outcomes]
            expected.append(sum(chances[1:]))  # all but the outcome in which no head gains
        error = np.abs(NoisyOr()(scores).numpy() - expected).max()
        record("noisy-or", "enumeration of the heads' outcomes", error)
        assert error < 1e-14

    def test_worked_example(self):
        # v = (4/3, 2/3): 1 − 0.125^(4/3) · 0.729^(2/3) = 1 − 0.0625 · 0.81
        utility = NoisyOr()(torch.tensor([[0.875, 0.271]], dtype=torch.float64), torch.tensor([2.0, 1.0]))
        assert utility.item() == pytest.approx(1 - 0.0625 * 0.81, rel=1e-14)

    def test_head_of_weight_zero_does_not_dilute_the_others(self):
        assert NoisyOr()(torch.tensor([[0.5, 0.5, 0.9]]), torch.tensor([1.0, 1.0, 0.0])).item() == pytest.approx(0.75)

    def test_one_sure_head_is_enough(self):
        assert NoisyOr()(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([1.0, 9.0])).tolist() == [1.0, 0.0]

    def test_small_chances_keep_their_digits(self):
        # to first order the sum
        assert NoisyOr()(torch.tensor([[1e-18, 2e-18]], dtype=torch.float64)).item() == pytest.approx(3e-18, rel=1e-12)
