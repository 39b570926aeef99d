import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.pixel_labels import BinaryMask, MaskFile, Regions

COLORS = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
LAYERS = LabelMap("structures", "pixel", False, ("liver", "vessel", "fat"), COLORS)
ANATOMY = LabelMap("anatomy", "pixel", True, LAYERS.classes, COLORS)
LEFT = np.array([[1, 1, 0], [1, 1, 0]], dtype=np.uint8)
TOP = np.array([[255, 255, 255], [0, 0, 0]], dtype=np.uint8)


@pytest.fixture
def masks(tmp_path):
    for name, pixels in (("left", LEFT), ("top", TOP)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return BinaryMask(tmp_path / "left.png"), BinaryMask(tmp_path / "top.png")


class TestRegions:
    def test_overlapping(self, masks):
        layers = Regions((*masks, None)).read(LAYERS, (2, 3))
        assert layers.dtype == np.uint8
        np.testing.assert_array_equal(layers, [LEFT, TOP // 255, np.full((2, 3), IGNORE)])

    @pytest.mark.parametrize("rest", [2, IGNORE])
    def test_exclusive(self, masks, rest):
        numbers = Regions((*masks, None), rest).read(ANATOMY, None)
        np.testing.assert_array_equal(numbers, [[1, 1, 1], [0, 0, rest]])  # a later region covers an earlier one

    def test_another_size_than_the_frame(self, masks):
        with pytest.raises(ValueError, match=r"left\.png: the mask is 2x3 but its frame is 4x6"):
            Regions(masks).read(LAYERS, (4, 6))


class TestBinaryMask:
    def test_several_values(self, tmp_path):
        Image.fromarray(LEFT * 7 + TOP // 255).save(tmp_path / "m.png")  # 8, 8, 1 / 7, 7, 0
        with pytest.raises(ValueError, match=r"m\.png: the mask of one class .* it holds 1, 7, 8 besides 0"):
            BinaryMask(tmp_path / "m.png").read(None)

    def test_turned_with_its_picture(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        for name, pixels in (("picture", LEFT), ("mask", LEFT)):
            Image.fromarray(pixels).save(tmp_path / f"{name}.png", exif=exif)
        drawn = BinaryMask(tmp_path / "mask.png").read(tmp_path / "picture.png")
        np.testing.assert_array_equal(drawn, np.rot90(LEFT, -1) == 1)

    def test_drawn_on_the_upright_picture(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(LEFT).save(tmp_path / "picture.png", exif=exif)
        upright = np.rot90(LEFT, -1)
        Image.fromarray(np.ascontiguousarray(upright)).save(tmp_path / "mask.png")
        rows = pd.DataFrame({"frame_id": ["v/000000"], "anatomy": [MaskFile(tmp_path / "mask.png", {0: 0, 1: 1})]})
        labels = LabelTable(rows, [ANATOMY], {"v/000000": tmp_path / "picture.png"})
        np.testing.assert_array_equal(labels.targets("anatomy", ["v/000000"], (3, 2))[0], upright)
