from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison.learning_curve import Curves
from mtal.reporting.comparison.penalty_matrix import mean_of_known, penalty_matrix

SEEDS = (0, 1, 2)


def curves(*points: tuple[float, float, float]) -> Curves:
    """One tuple of three seeds' scores per point."""
    return Curves(SEEDS, np.array(points).T)


def test_three_strategies_in_two_settings_by_hand():
    # t(0.975; 2) = 4.303. Differences (1.9, 2.0, 2.1) have t = 2/(0.1/√3) = 34.6: a win. (1, 2, 3) have 3.46: none.
    zero, sure, unsure = (0.0, 0.0, 0.0), (1.9, 2.0, 2.1), (1.0, 2.0, 3.0)
    first = {"a": curves(sure, sure), "b": curves(zero, unsure), "c": curves(zero, zero)}
    # a beats b at the first of two points (at the second −0.1..0.9 apart), c at both; b beats c at none
    second = {"a": curves(zero, zero, zero, zero), "b": curves(sure, zero, zero, zero), "c": curves(*[sure] * 4)}
    # b beats a at one of four points, c beats a at all, c beats b at the three others
    expected = [
        [np.nan, 1 / 4, 1 / 2],
        [1 / 8, np.nan, 0],
        [1 / 2, 3 / 8, np.nan],
    ]
    assert penalty_matrix([first, second], ["a", "b", "c"]) == pytest.approx(np.array(expected), nan_ok=True)


def test_a_pair_is_judged_where_it_met():
    sure, zero = curves((1.9, 2.0, 2.1)), curves((0.0, 0.0, 0.0))
    alone = Curves((7,), np.array([[0.0]]))  # shares no seed with the others
    settings = [{"a": sure, "b": zero, "c": zero}, {"a": sure, "b": sure}, {"a": sure, "b": alone, "d": alone}]
    found = penalty_matrix(settings, ["a", "b", "c", "d"])
    assert found[0, :3] == pytest.approx([np.nan, 1 / 2, 1], nan_ok=True)
    assert np.isnan(found[0, 3])
    assert mean_of_known(found, axis=0) == pytest.approx([0, 1 / 4, 1 / 2, np.nan], nan_ok=True)


def test_a_win_is_a_significant_paired_t_test():
    generator = np.random.default_rng(0)
    one, other = generator.normal(0.5, 1, (6, 40)), generator.normal(0, 1, (6, 40))
    tests = stats.ttest_rel(one, other, axis=0)
    better = (tests.pvalue < 0.05) & (tests.statistic > 0)
    seeds = tuple(range(6))
    found = penalty_matrix([{"a": Curves(seeds, one), "b": Curves(seeds, other)}], ["a", "b"])
    assert better.any()
    assert found[0, 1] == pytest.approx(better.mean())
    assert found[1, 0] == pytest.approx(((tests.pvalue < 0.05) & (tests.statistic < 0)).mean())


def test_a_strategy_that_was_not_run_in_a_setting_is_not_judged_there():
    only = {"a": curves((1.9, 2.0, 2.1))}
    assert np.isnan(penalty_matrix([only], ["a", "b"])).all()


def test_one_seed_judges_nobody():
    one, other = Curves((0,), np.array([[9.0]])), Curves((0,), np.array([[1.0]]))
    assert np.isnan(penalty_matrix([{"a": one, "b": other}], ["a", "b"])).all()
