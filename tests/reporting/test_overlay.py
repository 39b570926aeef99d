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


def test_classes_that_overlap():
    """Columns: red, both, blue, neither, not annotated; inside a 3 x 5 picture of three rows alike nothing is rim."""
    red, blue = [1, 1, 0, 0, 255], [0, 1, 1, 0, 255]
    layer = colorize(np.array([[red], [blue]], dtype=np.uint8).repeat(2, axis=1), [RED, BLUE], alpha=0.4)
    # rims, by hand: of red between columns 1 and 2, of blue between 0 and 1 and between 2 and 3; the first column is
    # red inside with the rim of blue
    assert layer[0].tolist() == [
        *([0, 0, 100, 255], [200, 0, 0, 255], [0, 0, 100, 255]),
        *([0, 0, 0, 0], [0, 0, 0, 0]),
    ]


def test_colours_are_mixed_where_classes_overlap():
    layer = colorize(np.ones((2, 1, 1), dtype=np.uint8), [RED, BLUE], alpha=0.4)
    assert layer.tolist() == [[[100, 0, 50, 102]]]
    image = np.full((1, 1, 3), 100, dtype=np.uint8)
    assert blend(image, np.ones((2, 1, 1), dtype=np.uint8), [RED, BLUE]).tolist() == [[[100, 60, 80]]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((2, 1, 1), 3), r"value 3, but where classes overlap each is there \(1\) or not \(0\)"),
        (np.ones((3, 1, 1)), "the mask has 3 layers, but there are 2 classes"),
    ],
)
def test_layers_that_mean_nothing(mask, message):
    with pytest.raises(ValueError, match=message):
        colorize(mask.astype(np.uint8), [RED, BLUE])
