from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from mtal.reporting.comparison.learning_curve import (
    MOST_POINTS,
    Curves,
    area,
    common_axis,
    in_common,
    monotone,
    on_axis,
)


def test_area_is_the_mean_height():
    # trapezoids: 10·(0.2+0.4)/2 + 30·(0.4+0.6)/2 = 3 + 15 = 18 over 40
    assert area(np.array([10.0, 20.0, 50.0]), np.array([0.2, 0.4, 0.6])) == pytest.approx(0.45)
    assert area(np.array([10.0]), np.array([[0.3], [0.5]])).tolist() == [0.3, 0.5]


@pytest.mark.parametrize("points", [1, 2, 5, 13])
def test_monotone_is_scipys_isotonic_regression(points):
    curves = np.random.default_rng(points).normal(size=(3, 4, points))
    fitted = monotone(curves)
    expected = np.apply_along_axis(lambda y: isotonic_regression(y).x, -1, curves)
    assert fitted == pytest.approx(expected)


def test_a_rising_curve_stays_as_it_is():
    assert monotone(np.array([0.1, 0.2, 0.2, 0.9])).tolist() == pytest.approx([0.1, 0.2, 0.2, 0.9])


def test_runs_measured_at_the_same_places_keep_them():
    places = np.array([8.0, 16.0, 30.0])
    assert common_axis({"a": places, "b": places.copy()}).tolist() == [8, 16, 30]


def test_other_places_are_joined_where_all_runs_were_measured():
    axis = common_axis({"a": np.array([10.0, 20.0, 30.0, 40.0]), "b": np.array([15.0, 25.0, 35.0])})
    assert axis.tolist() == [15, 20, 25, 30, 35]


def test_too_many_places_are_replaced_by_even_ones():
    axis = common_axis({"a": np.arange(1.0, 102.0), "b": np.arange(1.5, 102.0)})
    assert len(axis) == MOST_POINTS
    assert (axis[0], axis[-1]) == (1.5, 101.0)


def test_runs_without_a_common_stretch_are_refused_by_name():
    with pytest.raises(ValueError, match=r"late starts at 50 labelled frames and early ends at 30.*loop.initial"):
        common_axis({"early": np.array([10.0, 30.0]), "late": np.array([50.0, 90.0])})


def test_a_curve_is_read_between_its_measurements():
    x, y = np.array([10.0, 20.0, 40.0]), np.array([0.0, 0.2, 0.4])
    assert on_axis(x, y, np.array([15.0, 20.0, 30.0])).tolist() == pytest.approx([0.1, 0.2, 0.3])
    gap = np.array([0.0, np.nan, 0.3])  # 10/30 of the way from 0 to 0.3
    assert on_axis(x, gap, np.array([20.0])).tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("y", [[np.nan, 0.2, 0.4], [0.0, 0.2, np.nan], [np.nan] * 3])
def test_a_curve_is_not_made_up_beyond_its_measurements(y):
    assert on_axis(np.array([10.0, 20.0, 40.0]), np.array(y), np.array([10.0, 40.0])) is None


def test_seeds_are_paired_by_number_and_not_by_place():
    one = Curves((1, 2, 5), np.array([[1.0], [2.0], [5.0]]))
    other = Curves((2, 3, 5), np.array([[20.0], [30.0], [50.0]]))
    mine, others = in_common(one, other)
    assert mine.seeds == others.seeds == (2, 5)
    assert mine.values.ravel().tolist() == [2, 5]
    assert others.values.ravel().tolist() == [20, 50]


def test_a_fold_is_paired_over_the_seeds_that_both_have_of_it():
    def folds(*runs):
        members = {}
        for fold, seed, height in runs:
            members.setdefault(fold, {})[seed] = np.array([height])
        return Curves.of_folds(members, points=1)

    one = folds((0, 0, 1.0), (0, 1, 3.0), (1, 0, 5.0), (2, 0, 7.0))
    other = folds((0, 1, 30.0), (1, 0, 50.0), (1, 1, 70.0), (2, 1, 90.0))
    mine, others = in_common(one, other)
    assert mine.seeds == others.seeds == (0, 1)
    assert mine.values.ravel().tolist() == [3, 5]
    assert others.values.ravel().tolist() == [30, 50]
    assert in_common(one, folds((3, 0, 1.0)))[0].values.shape == (0, 1)
