"""Against distances of every pixel of one outline to every pixel of the other."""

import math

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from mtal.tasks.surface import hausdorff_95, surface_dice


def of_all_pairs(said, truth):
    """Distances of each pixel of either outline to the nearest of the other."""
    outlines = []
    for region in (said, truth):
        padded = np.pad(region, 1)
        neighbours = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
        outlines.append(np.argwhere(region & ~np.logical_and.reduce(neighbours)))
    distance = np.linalg.norm(outlines[0][:, None] - outlines[1][None], axis=2)
    return distance.min(axis=1), distance.min(axis=0)


def regions():
    rng = np.random.default_rng(3)
    for _ in range(5):
        yield tuple(binary_dilation(rng.random((23, 31)) < 0.02, iterations=3) for _ in range(2))


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.5])
def test_surface_dice_agrees_with_all_pairs(tolerance):
    for said, truth in regions():
        both = np.concatenate(of_all_pairs(said, truth))
        assert surface_dice(said, truth, tolerance) == pytest.approx((both <= tolerance).mean())


def test_hausdorff_agrees_with_all_pairs():
    for said, truth in regions():
        assert hausdorff_95(said, truth) == pytest.approx(max(map(at_95, of_all_pairs(said, truth))))


def at_95(distances):
    """Between the two numbers that 95 % of the others lie below."""
    place = 0.95 * (len(distances) - 1)
    below, above = np.sort(distances)[[int(place), int(np.ceil(place))]]
    return below + (place % 1) * (above - below)


def test_worked_example():
    # squares of 4 x 4, one pixel apart: of 12 pixels each 6 lie on the other's outline, 12 within one pixel
    truth = np.zeros((9, 9), dtype=bool)
    truth[2:6, 2:6] = True
    said = np.roll(truth, 1, axis=0)
    assert surface_dice(said, truth, 1.0) == 1
    assert surface_dice(said, truth, 0.0) == pytest.approx(12 / 24)
    assert surface_dice(truth, truth, 0.0) == 1


def test_hausdorff_of_one_pixel_far_off():
    # a row of 40 pixels, each of them right but one, which lies 6 pixels below: of 41 pixels 2.4 % are further off
    truth = np.zeros((12, 44), dtype=bool)
    truth[2, 2:42] = True
    said = truth.copy()
    said[8, 20] = True
    assert hausdorff_95(said, truth) == 0
    said[8, 18:23] = True  # five of 45, 11 %
    assert hausdorff_95(said, truth) == 6
    assert hausdorff_95(truth, said) == 6


def test_empty_regions():
    some, none = np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool)
    assert surface_dice(none, some, 9.0) == surface_dice(some, none, 9.0) == 0
    assert math.isnan(surface_dice(none, none, 1.0))
    assert hausdorff_95(none, some) == hausdorff_95(some, none) == pytest.approx(18**0.5)
    assert math.isnan(hausdorff_95(none, none))
