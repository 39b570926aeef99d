import math

import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import CombMnz


class TestCombMnz(FusionAxioms):
    rule = CombMnz()
    choice = "comb_mnz"
    lowest = 0.0

    @pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8])
    def test_agrees_with_counting_by_hand(self, threshold):
        scores, weights = random_scores(), [1.0, 2.0, 0.5]
        scores[4] = torch.tensor([0.0, 0.5, 0.0])
        error = 0.0
        shares = [w / (3.5 / 3) for w in weights]
        for row, found in zip(scores.tolist(), CombMnz(threshold)(scores, torch.tensor(weights)).tolist(), strict=True):
            total = wanted = 0.0
            for score, share in zip(row, shares, strict=True):
                total += share * score
                if score > threshold:
                    wanted += share
            error = max(error, abs(found - total * wanted))
        record("CombMNZ", "sum and count in a loop", error)
        assert error < 1e-14

    def test_equal_weights_give_the_rule_of_the_paper(self):
        # a system that did not retrieve a document gives it 0: (0.5 + 0.25) · 2, (0.9 + 0) · 1, nothing
        scores = torch.tensor([[0.5, 0.25], [0.9, 0.0], [0.0, 0.0]], dtype=torch.float64)
        utility = CombMnz(threshold=0)(scores, torch.full((2,), 7.0))
        assert utility.tolist() == pytest.approx([1.5, 0.9, 0.0], rel=1e-14)

    def test_two_heads_that_want_a_frame_beat_a_higher_sum(self):
        utility = CombMnz()(torch.tensor([[0.6, 0.6], [1.0, 0.4]]))
        assert utility[0] > utility[1]

    def test_head_of_weight_zero_does_not_count(self):
        # v = (1, 1): (0.75 + 0.25) · 1
        assert CombMnz()(torch.tensor([[0.75, 0.25, 0.9]]), torch.tensor([3.0, 3.0, 0.0])).item() == pytest.approx(1.0)

    @pytest.mark.parametrize("threshold", [-0.1, math.inf, math.nan])
    def test_impossible_threshold_is_refused(self, threshold):
        with pytest.raises(ValueError, match=f"threshold of CombMNZ must be 0 or more and finite, not {threshold}"):
            CombMnz(threshold)
