from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison.significance import holm, mean_interval, paired_test


@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_both_tests_are_scipys(seeds):
    generator = np.random.default_rng(seeds)
    one, other = generator.normal(0.3, 1, seeds), generator.normal(0, 1, seeds)
    test = paired_test(one, other)
    assert test.seeds == seeds
    assert test.t_p == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert test.wilcoxon_p == pytest.approx(stats.wilcoxon(one, other, method="exact").pvalue)


@pytest.mark.parametrize("repeats", [5, 6, 30])
def test_the_interval_is_students(repeats):
    values = np.random.default_rng(repeats).normal(0.3, 1, (repeats, 2, 3))
    known = stats.ttest_1samp(values, 0, axis=0).confidence_interval(0.95)
    low, high = mean_interval(values)
    np.testing.assert_allclose(low, known.low)
    np.testing.assert_allclose(high, known.high)


def test_four_repeats_have_no_interval():
    assert np.isnan(mean_interval(np.arange(8.0).reshape(4, 2))).all()


def test_wilcoxon_with_ties_and_zeros_is_exact():
    difference = np.array([1.0, 1.0, -1.0, 2.0, 3.0, 0.0])
    ranks = np.array([2, 2, 2, 4, 5])  # of 1, 1, 1, 2, 3; the zero is dropped
    found = 2 + 2 + 4 + 5
    sums = [sum(r for r, up in zip(ranks, signs, strict=True) if up) for signs in itertools.product((0, 1), repeat=5)]
    expected = np.mean([abs(s - 7.5) >= abs(found - 7.5) for s in sums])
    assert paired_test(difference, np.zeros(6)).wilcoxon_p == pytest.approx(expected)


def test_five_seeds_are_too_few_for_wilcoxon():
    assert paired_test(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.zeros(5)).wilcoxon_p == pytest.approx(0.0625)


def test_equal_scores_are_no_evidence():
    same = np.array([0.1, 0.2, 0.3])
    assert paired_test(same, same).t_p == paired_test(same, same).wilcoxon_p == 1


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_pair_is_not_tested(seeds):
    test = paired_test(np.full(seeds, 0.5), np.full(seeds, 0.1))
    assert test.seeds == seeds
    assert np.isnan([test.t_p, test.wilcoxon_p]).all()


def test_holm_by_hand():
    # sorted: 0.005·4, 0.01·3, 0.03·2, 0.04·1, each no less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]


def test_holm_counts_only_what_was_tested():
    assert holm([np.nan, 0.02, 0.03]) == pytest.approx([np.nan, 0.04, 0.04], nan_ok=True)
