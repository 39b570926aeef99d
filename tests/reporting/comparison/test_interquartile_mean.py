from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison.interquartile_mean import interquartile_interval, interquartile_mean


def test_worked_example():
    # of 1..8 the middle half is 3, 4, 5, 6
    assert interquartile_mean(np.arange(1.0, 9.0).reshape(4, 2)) == 4.5


def test_an_outlying_run_has_no_say():
    scores = np.arange(1.0, 9.0)
    scores[-1] = 1e6
    assert interquartile_mean(scores.reshape(4, 2)) == 4.5


def test_it_is_scipys_trimmed_mean():
    scores = np.random.default_rng(0).normal(size=(5, 3))
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))


def test_the_interval_surrounds_it_and_is_the_same_each_time():
    scores = np.random.default_rng(0).normal(size=(8, 3))
    low, high = interquartile_interval(scores)
    assert low < interquartile_mean(scores) < high
    assert (low, high) == interquartile_interval(scores)


def test_runs_are_drawn_whole():
    # Two heads that make up for each other in every run: drawn whole, each draw has as many 0s as 1s.
    scores = np.array([[0.0, 1.0], [1.0, 0.0]] * 3)
    assert interquartile_interval(scores) == (0.5, 0.5)
