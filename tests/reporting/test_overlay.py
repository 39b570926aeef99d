from __future__ import annotations

import numpy as np
import pytest

from mtal.reporting import blend, colorize

RED, BLUE = (200, 0, 0), (0, 0, 100)


def test_colorize_worked_example():
    # Columns: class 0, class 0, class 1, not annotated. A pixel is rim where its right neighbour differs.
    layer = colorize(np.array([[0, 0, 1, 255]], dtype=np.uint8), [RED, BLUE], alpha=0.4)
    assert layer.tolist() == [[[200, 0, 0, 102], [200, 0, 0, 255], [0, 0, 100, 255], [0, 0, 0, 0]]]


def test_rim_looks_down_as_well():
    layer = colorize(np.array([[0], [1]], dtype=np.uint8), [RED, BLUE], alpha=0.0)
    assert layer[:, 0, 3].tolist() == [255, 0]


def test_blend_worked_example():
    image = np.full((1, 2, 3), 100, dtype=np.uint8)
    # inside of class 0 at opacity round(255 · 0.4) / 255 = 0.4: 0.4 · (200, 0, 0) + 0.6 · 100
    mask = np.zeros((1, 2), dtype=np.uint8)
    assert blend(image, mask, [RED], alpha=0.4).tolist() == [[[140, 60, 60], [140, 60, 60]]]


def test_not_annotated_pixels_keep_the_image():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert np.array_equal(blend(image, np.full((3, 3), 255, dtype=np.uint8), [RED]), image)


def test_an_unknown_class_is_named():
    with pytest.raises(ValueError, match="value 2, but there are only 2 classes"):
        colorize(np.array([[0, 2]], dtype=np.uint8), [RED, BLUE])


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"the image is \(2, 2\) but its mask is \(1, 2\)"):
        blend(np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((1, 2), dtype=np.uint8), [RED])
