import warnings

import pytest
import torch

from mtal.acquisition import Blend, Bounds, Identity, ScoreTable, WeightedMean

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
