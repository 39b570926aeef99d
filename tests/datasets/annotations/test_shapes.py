import numpy as np
import pytest
from miniature.annotated import column_runs
from pycocotools import mask as coco_mask

from mtal.datasets.annotations.shapes import counts_of, drawn, polygons, runs


@pytest.fixture
def random_masks():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 40, (100, 2))
    return [(rng.random(tuple(s)) < rng.random()).astype(np.uint8) for s in sizes]


def test_run_lengths_of_coco(random_masks):
    for mask in random_masks:
        text = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
        counts = counts_of(text)
        assert counts == column_runs(mask)
        np.testing.assert_array_equal(drawn(runs(counts, (0, 0, *mask.shape), mask.shape).rle(mask.shape)), mask)


def test_run_lengths_of_a_window_by_rows(random_masks):
    for mask in random_masks:
        height, width = mask.shape
        shape = runs(column_runs(mask.T), (2, 3, height, width), (height + 4, width + 5), by_rows=True)
        whole = np.pad(mask, ((2, 2), (3, 2)))
        np.testing.assert_array_equal(drawn(shape.rle(whole.shape)), whole)


def test_polygons_cover_pixels_whose_squares_they_cover():
    shape = polygons([[1, 1, 3, 1, 3, 2, 1, 2], [0, 3, 5, 3, 5, 5, 0, 5]], (5, 6))
    expected = [[0] * 6, [0, 1, 1, 0, 0, 0], [0] * 6, [1] * 5 + [0], [1] * 5 + [0]]
    np.testing.assert_array_equal(drawn(shape.rle((5, 6))), expected)


def test_polygons_that_reach_beyond_the_image_are_cut():
    shape = polygons([[-3, -3, 3, -3, 3, 3, -3, 3]], (5, 6))
    expected = np.zeros((5, 6), dtype=bool)
    expected[:3, :3] = True
    np.testing.assert_array_equal(drawn(shape.rle((5, 6))), expected)


def test_polygons_of_a_point_or_two_are_left_out():
    assert polygons([[1, 1], [1, 1, 2, 2], []], (5, 6)) is None
    assert len(polygons([[1, 1], [1, 1, 2, 2, 1, 2]], (5, 6)).rings) == 1
