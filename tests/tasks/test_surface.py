"""Against distances of every pixel of one outline to every pixel of the other."""

import math

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from mtal.tasks.surface import surface_dice


def by_all_pairs(said, truth, tolerance):
    outlines = []
    for region in (said, truth):
        padded = np.pad(region, 1)
        neighbours = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
        outlines.append(np.argwhere(region & ~np.logical_and.reduce(neighbours)))
    distance = np.linalg.norm(outlines[0][:, None] - outlines[1][None], axis=2)
    near = (distance.min(axis=1) <= tolerance).sum() + (distance.min(axis=0) <= tolerance).sum()
    return near / sum(map(len, outlines))


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.5])
def test_agrees_with_all_pairs(tolerance):
    rng = np.random.default_rng(3)
    for _ in range(5):
        truth, said = (binary_dilation(rng.random((23, 31)) < 0.02, iterations=3) for _ in range(2))
        assert surface_dice(said, truth, tolerance) == pytest.approx(by_all_pairs(said, truth, tolerance))


def test_worked_example():
    # squares of 4 x 4, one pixel apart: of 12 pixels each 6 lie on the other's outline, 12 within one pixel
    truth = np.zeros((9, 9), dtype=bool)
    truth[2:6, 2:6] = True
    said = np.roll(truth, 1, axis=0)
    assert surface_dice(said, truth, 1.0) == 1
    assert surface_dice(said, truth, 0.0) == pytest.approx(12 / 24)
    assert surface_dice(truth, truth, 0.0) == 1


def test_empty_regions():
    some, none = np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool)
    assert surface_dice(none, some, 9.0) == surface_dice(some, none, 9.0) == 0
    assert math.isnan(surface_dice(none, none, 1.0))
