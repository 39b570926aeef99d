import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from mtal.datasets.outline import Outline

SQUARE = [[1, 1, 4, 1, 4, 3, 1, 3]]  # columns 1 to 3, rows 1 and 2
MASK = np.zeros((4, 6), dtype=np.uint8)
MASK[1:3, 1:4] = 1


class TestRead:
    @pytest.mark.parametrize(
        "segmentation",
        [
            SQUARE,
            SQUARE[0],
            {"size": [4, 6], "counts": [5, 2, 2, 2, 2, 2, 9]},  # along columns
            {"size": [4, 6], "counts": coco_mask.encode(np.asfortranarray(MASK))["counts"].decode()},
        ],
    )
    def test_by_hand(self, segmentation):
        drawn = Outline.parse(json.dumps(segmentation), "t.csv").read((4, 6))
        assert drawn.dtype == np.bool_
        np.testing.assert_array_equal(drawn, MASK)

    def test_several_polygons_as_pillow_draws_them(self):
        rings = [[10, 10, 60, 12, 40, 50], [50, 40, 90, 30, 80, 70, 55, 66]]
        drawn = Outline(rings, "t.csv").read((80, 100))
        image = Image.new("1", (100, 80))
        for ring in rings:
            ImageDraw.Draw(image).polygon(ring, fill=1)
        assert (drawn != np.asarray(image)).mean() < 0.03  # their borders differ by half a pixel

    def test_nothing_there(self):
        assert not Outline.parse("[]", "t.csv").read((4, 6)).any()

    def test_the_size_of_a_picture(self, tmp_path):
        Image.new("L", (6, 4)).save(tmp_path / "p.png")
        np.testing.assert_array_equal(Outline(SQUARE, "t.csv").read(tmp_path / "p.png"), MASK)


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[[1, 2", r"line 2: '\[\[1, 2' is no JSON"),
            ("[[1, 2, 3, 4]]", r"line 2: '\[\[1, 2, 3, 4\]\]' has a polygon of less than three points"),
            ('{"counts": "52203"}', "has no run lengths; write"),
        ],
    )
    def test_no_outline(self, text, message):
        with pytest.raises(ValueError, match=message):
            Outline.parse(text, "t.csv, line 2")

    @pytest.mark.parametrize(
        ("segmentation", "message"),
        [
            ([[1, 2, 3, 4, 5, 6, 7]], "a polygon of 7 numbers"),
            ([[1, 2, 3, 4, 5, "x"]], "which is no list of numbers"),
            ([[1, 1, 99, 1, 2, 2]], "a polygon with a point at 99, 1, far outside of 2x3"),
            ({"size": [4, 6], "counts": [24]}, r"run lengths of the size \[4, 6\] for a frame of 2x3"),
            ({"size": [2, 3], "counts": [5]}, "run lengths of 5 pixels for a mask of 2x3"),
            ({"size": [2, 3], "counts": [7, -1]}, "run lengths that are no list of whole numbers from 0 on"),
        ],
    )
    def test_what_cannot_be_drawn(self, segmentation, message):
        with pytest.raises(ValueError, match=rf"t\.csv, line 2: .*{message}"):
            Outline(segmentation, "t.csv, line 2").read((2, 3))
