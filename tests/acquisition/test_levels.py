"""Signals first and then heads, or all columns at once: numbers worked out by hand."""

import pytest
import torch

from mtal.acquisition import (
    Borda,
    Bounds,
    Identity,
    Max,
    MinMax,
    PercentileRank,
    ReciprocalRank,
    SingleTask,
    WeightedMean,
)
from mtal.acquisition.levels import fuse_columns, fuse_heads

COLUMNS = (("tools", "entropy"), ("tools", "margin"), ("anatomy", "entropy"))
SCORES = torch.tensor([[0.2, 0.4, 0.9], [0.8, 0.0, 0.1], [0.6, 0.6, 0.5]], dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)
EQUAL = {"tools": 1.0, "anatomy": 1.0}


def by_heads(weights=ONES, say=EQUAL, signal_fusion=None, fusion=None, normalizer=None, scores=SCORES):
    return fuse_heads(
        COLUMNS,
        scores,
        weights,
        say,
        signal_fusion or WeightedMean(),
        fusion or WeightedMean(),
        normalizer or Identity(),
    )


class TestHeads:
    def test_mean_of_means(self):
        # tools: 0.3, 0.4, 0.6; with anatomy 0.6, 0.25, 0.55
        assert by_heads().tolist() == pytest.approx([0.6, 0.25, 0.55])

    def test_each_level_has_its_own_rule(self):
        # tools by maximum: 0.4, 0.8, 0.6; mean with anatomy 0.65, 0.45, 0.55
        assert by_heads(signal_fusion=Max()).tolist() == pytest.approx([0.65, 0.45, 0.55])
        # tools by mean: 0.3, 0.4, 0.6; maximum with anatomy 0.9, 0.4, 0.6
        assert by_heads(fusion=Max()).tolist() == pytest.approx([0.9, 0.4, 0.6])

    def test_weights_of_both_levels(self):
        # tools: (0.2 + 3·0.4)/4 = 0.35, 0.2, 0.6; heads 2 to 1: (2·0.35 + 0.9)/3 …
        weights = torch.tensor([1.0, 3.0, 1.0], dtype=torch.float64)
        utility = by_heads(weights=weights, say={"tools": 2.0, "anatomy": 1.0})
        assert utility.tolist() == pytest.approx([1.6 / 3, 0.5 / 3, 1.7 / 3])

    def test_rule_of_another_unit_is_normalised_again(self):
        # reciprocal ranks are some hundredths: unnormalised they would hardly count beside anatomy
        raw = ReciprocalRank(k=1)(SCORES[:, :2], ONES[:2])
        tools = (raw - raw.min()) / (raw.max() - raw.min())
        utility = by_heads(signal_fusion=ReciprocalRank(k=1), normalizer=MinMax())
        torch.testing.assert_close(utility, (tools + SCORES[:, 2]) / 2)

    def test_signals_that_cancel_out_leave_the_head_without_an_opinion(self):
        """Points are the same for both frames, which is no range to divide by."""
        opposed = torch.tensor([[0.0, 1.0, 0.9], [1.0, 0.0, 0.1]], dtype=torch.float64)
        utility = by_heads(signal_fusion=Borda(), normalizer=Bounds(), scores=opposed)
        assert utility.tolist() == pytest.approx([0.45, 0.05])

    def test_rule_of_the_same_unit_is_left_alone(self):
        torch.testing.assert_close(by_heads(normalizer=PercentileRank()), by_heads())

    def test_a_single_signal_stands_for_its_head_whatever_the_rule(self):
        only_entropy = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
        utility = by_heads(weights=only_entropy, signal_fusion=ReciprocalRank(), normalizer=PercentileRank())
        torch.testing.assert_close(utility, (SCORES[:, 0] + SCORES[:, 2]) / 2)

    def test_head_without_an_active_column_has_no_say(self):
        no_tools = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        torch.testing.assert_close(by_heads(weights=no_tools), SCORES[:, 2])

    def test_nobody_has_a_say(self):
        assert by_heads(weights=torch.zeros(3, dtype=torch.float64)).tolist() == [0.0] * 3
        assert by_heads(say={"tools": 0.0, "anatomy": 0.0}).tolist() == [0.0] * 3


class TestColumns:
    def test_a_head_of_two_columns_counts_once(self):
        # weights ¼, ¼, ½: the mean of means
        utility = fuse_columns(COLUMNS, SCORES, ONES, EQUAL, WeightedMean())
        torch.testing.assert_close(utility, by_heads())

    def test_all_columns_compete(self):
        # weights ½, ½, 1 of the maximum: half of 0.4, 0.8, 0.6 against 0.9, 0.1, 0.5
        utility = fuse_columns(COLUMNS, SCORES, ONES, EQUAL, Max())
        assert utility.tolist() == pytest.approx([0.9, 0.4, 0.5])

    def test_weights_of_both_levels(self):
        # tools' weight 2 is shared 3 to 1: (1.5·s₁ + 0.5·s₂ + s₃)/3
        weights = torch.tensor([3.0, 1.0, 1.0], dtype=torch.float64)
        utility = fuse_columns(COLUMNS, SCORES, weights, {"tools": 2.0, "anatomy": 1.0}, WeightedMean())
        assert utility.tolist() == pytest.approx([1.4 / 3, 1.3 / 3, 1.7 / 3])

    def test_columns_go_by_task_and_signal(self):
        utility = fuse_columns(COLUMNS, SCORES, ONES, EQUAL, SingleTask("tools/margin"))
        torch.testing.assert_close(utility, SCORES[:, 1])

    def test_nobody_has_a_say(self):
        nobody = fuse_columns(COLUMNS, SCORES, torch.zeros(3, dtype=torch.float64), EQUAL, WeightedMean())
        assert nobody.tolist() == [0.0] * 3
