from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison.bootstrap import interval, seed_weights


def test_draws_are_seeds_with_replacement_and_the_same_each_time():
    weights = seed_weights(4, draws=500)
    assert np.allclose(weights.sum(axis=1), 1)
    assert set(np.unique(weights * 4)) <= {0, 1, 2, 3, 4}
    assert np.allclose(weights.mean(axis=0), 0.25, atol=0.03)
    assert np.array_equal(weights, seed_weights(4, draws=500))
    assert not np.array_equal(weights, seed_weights(4, draws=500, seed=1))


@pytest.mark.parametrize("seeds", [6, 12, 30])
def test_for_a_mean_it_is_as_wide_as_students_interval(seeds):
    # For scores that look normal both aim at the same thing: mean ± t·s/√S. The plain percentile interval of 6 seeds
    # would be 0.70 times as wide.
    values = stats.norm.ppf((np.arange(seeds) + 0.5) / seeds)
    low, high = interval(seed_weights(seeds, 40_000) @ values, seeds)
    expected = stats.t.interval(0.95, seeds - 1, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_fewer_than_five_seeds_have_no_interval(seeds):
    values = np.arange(seeds * 2.0).reshape(seeds, 2)
    assert np.isnan(interval(seed_weights(seeds) @ values[:, 0], seeds)).all()
    assert np.isfinite(interval(seed_weights(5) @ np.arange(5.0), 5)).all()


def test_an_end_may_be_open():
    drawn = np.array([1.0] * 95 + [np.inf] * 5)
    assert interval(drawn, 30) == (1.0, np.inf)
    assert interval(-drawn, 30) == (-np.inf, -1.0)
