import pytest
import torch
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import Max


class TestMax(FusionAxioms):
    rule = Max()
    choice = "max"
    is_mean = True

    def test_equal_weights_give_the_plain_maximum(self):
        scores = random_scores() - 0.8
        assert torch.equal(Max()(scores, torch.full((3,), 4.0)), scores.amax(dim=1))

    def test_worked_example(self):
        # v = (1, ½): max(0.3, 0.8·½) = 0.4; max(0.5, 0.8·½) = 0.5
        assert Max()(torch.tensor([[0.3, 0.8], [0.5, 0.8]]), torch.tensor([2.0, 1.0])).tolist() == pytest.approx(
            [0.4, 0.5]
        )

    def test_smaller_weight_lowers_negative_scores_too(self):
        # v = (1, ½): max(−0.3, −0.2/½) = −0.3, where multiplying would let the lighter head win with −0.1
        assert Max()(torch.tensor([[-0.3, -0.2]]), torch.tensor([2.0, 1.0])).item() == pytest.approx(-0.3)

    def test_head_of_weight_zero_does_not_win_over_negative_scores(self):
        assert Max()(torch.tensor([[-1.0, 5.0]]), torch.tensor([1.0, 0.0])).item() == -1.0
