import numpy as np
import pytest
from scipy.stats import chisquare

from mtal.acquisition.selectors.weighted_draw import WeightedDraw


def weights(size, seed=0):
    weight = np.random.default_rng(seed).exponential(size=size)
    weight[::7] = 0
    return weight


@pytest.mark.parametrize("size", [1, 2, 1023, 1024, 1025, 5000])
def test_is_the_inverse_of_the_cumulative_weight(size):
    weight = weights(size) + (size == 1)
    quantile = np.random.default_rng(1).random(200)
    expected = np.searchsorted(np.cumsum(weight), quantile * weight.sum(), side="right")
    assert WeightedDraw(weight).at(quantile).tolist() == expected.tolist()


def test_changed_weights_are_those_of_a_new_draw():
    weight, quantile = weights(3000), np.linspace(0, 1, 50)
    draw = WeightedDraw(weight.copy())
    places = np.array([5, 1023, 1024, 2999])
    weight[places] = [9.0, 0.0, 3.0, 1.0]
    draw.change(places, weight[places])
    assert draw.at(quantile).tolist() == WeightedDraw(weight).at(quantile).tolist()
    assert draw.total == pytest.approx(weight.sum())
    draw.change(np.zeros(0, dtype=int), np.zeros(0))
    assert draw.total == pytest.approx(weight.sum())


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_ends_never_land_on_a_weight_of_zero(end):
    weight = np.zeros(4000)
    weight[[1500, 1501, 2500]] = [0.1, 0.2, 0.7]
    assert WeightedDraw(weight).at(np.array([end])).tolist() == [{0.0: 1500, 1.0: 2500}[end]]


def test_nothing_left():
    draw = WeightedDraw(np.array([0.0, 2.0]))
    draw.change(np.array([1]), np.array([0.0]))
    assert draw.total == 0


def test_frequencies():
    weight = np.array([1.0, 0.0, 2.0, 5.0])
    places = WeightedDraw(weight).at(np.random.default_rng(0).random(4000))
    counts = np.bincount(places, minlength=4)
    assert counts[1] == 0
    assert chisquare(counts[[0, 2, 3]], 500 * weight[[0, 2, 3]]).pvalue > 0.001
