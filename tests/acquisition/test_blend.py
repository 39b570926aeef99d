import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtal.acquisition import Blend, Bounds, Identity, MinMax, PowerMean, ScoreTable, WeightedMean

SCORES = ScoreTable.from_scores(
    {("tools", "entropy"): torch.tensor([0.2, 0.6]).double(), ("phase", "entropy"): torch.tensor([0.0, 4.0]).double()}
)


def test_heads_have_the_same_say_unless_told_otherwise():
    blend = Blend(Identity(), WeightedMean())
    assert blend(SCORES).tolist() == pytest.approx([0.1, 2.3])
    assert blend(SCORES, {"tools": 3.0, "phase": 1.0}).tolist() == pytest.approx([0.15, 1.45])


def test_ranges_are_for_normalisers_that_read_them():
    assert Blend(Bounds(), WeightedMean())(SCORES, ranges={"entropy": (0.0, 4.0)}).tolist() == pytest.approx(
        [0.025, 0.575]
    )


def test_a_constant_column_of_a_head_without_say_is_no_reason_to_warn():
    constant = ScoreTable(SCORES.columns, torch.tensor([[0.2, 7.0], [0.6, 7.0]]).double())
    blend = Blend(Identity(), WeightedMean())
    with pytest.warns(UserWarning, match="phase/entropy: the same score"):
        blend(constant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert blend(constant, {"tools": 1.0, "phase": 0.0}).tolist() == pytest.approx([0.2, 0.6])


class TestConstantOnceNormalised:
    """[0, ½, 1] of the other head is left, which a geometric mean with 0s would wipe out."""

    TABLE = ScoreTable(SCORES.columns, torch.tensor([[0.1, 5.0], [0.3, 6.0], [0.5, 7.0]]).double())
    BLEND = Blend(MinMax(), PowerMean(0.0))

    def test_by_an_earlier_round_in_which_it_was_constant(self):
        reference = replace(self.TABLE, values=torch.tensor([[0.1, 0.0], [0.3, 0.0], [0.5, 0.0]]).double())
        with pytest.warns(UserWarning, match="phase/entropy: the same on all 3 frames once normalised"):
            utility = self.BLEND(self.TABLE, reference=reference)
        assert utility.tolist() == pytest.approx([0.0, 0.5, 1.0])
        scores = self.BLEND.comparable(self.TABLE, reference=reference)
        assert scores.heard({"tools": 1.0, "phase": 1.0}) == [("tools", "entropy")]

    def test_within_every_video(self):
        values = torch.tensor([[0.0, 0.1], [0.0, 0.5], [1.0, 0.4], [1.0, 0.9]]).double()
        table = ScoreTable(SCORES.columns, values, np.array([0, 0, 1, 1]))
        blend = replace(self.BLEND, per_video=True)
        with pytest.warns(UserWarning, match="tools/entropy: the same on all 4 frames once normalised"):
            assert blend(table).tolist() == pytest.approx([0.0, 1.0, 0.0, 1.0])
        assert blend.comparable(table).gains({"tools": 1.0, "phase": 1.0})[:, 0].tolist() == [0.0] * 4
