from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import class_numbers, held_values, is_there

POLYP = LabelMap("anatomy", "pixel", True, ("mucosa", "polyp"), ((1, 2, 3), (4, 5, 6)), {0: 0, 255: 1})
RED, GREEN, BLACK = (255, 0, 0), (0, 128, 0), (0, 0, 0)
TOOLS = LabelMap("tools", "pixel", True, ("none", "grasper", "hook"), (BLACK, RED, GREEN), {BLACK: 0, RED: 1, GREEN: 2})


def drawn(path, colors, mode="RGB", **options):
    """120 x 160: the first colour with a disc of each other one; returns the picture before compression."""
    image = Image.new(mode, (160, 120), colors[0])
    for k, color in enumerate(colors[1:]):
        ImageDraw.Draw(image).ellipse((10 + 70 * k, 20, 70 + 70 * k, 80), fill=color)
    image.save(path, **options)
    return np.asarray(image)


class TestNearestValues:
    def test_gray(self, tmp_path):
        before = drawn(tmp_path / "a.jpg", [0, 255], "L", quality=75)
        held = np.unique(np.asarray(Image.open(tmp_path / "a.jpg")))
        assert len(held) > 20  # JPEG has changed them
        classes = class_numbers(tmp_path / "a.jpg", POLYP, (120, 160))
        sure = classes != IGNORE
        assert sure.mean() > 0.98
        np.testing.assert_array_equal(classes[sure], (before == 255)[sure])

    def test_gray_as_colours(self, tmp_path):
        before = drawn(tmp_path / "a.jpg", [BLACK, (255, 255, 255)])
        classes = class_numbers(tmp_path / "a.jpg", POLYP)
        assert (classes == (before[..., 0] == 255)).mean() > 0.98

    def test_colours(self, tmp_path):
        before = drawn(tmp_path / "a.jpg", [BLACK, RED, GREEN], quality=90)
        classes = class_numbers(tmp_path / "a.jpg", TOOLS)
        sure = classes != IGNORE
        assert sure.mean() > 0.95
        np.testing.assert_array_equal(classes[sure], (before[..., 0] // 255 + before[..., 1] // 64)[sure])

    def test_binary(self, tmp_path):
        before = drawn(tmp_path / "a.jpg", [0, 255], "L")
        assert (is_there(tmp_path / "a.jpg") == (before == 255)).mean() > 0.98
        Image.new("L", (16, 16)).save(tmp_path / "none.jpg")
        assert not is_there(tmp_path / "none.jpg").any()


class TestWebp:
    @pytest.mark.parametrize("extended", [{}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}])
    def test_without_loss(self, tmp_path, extended):
        before = drawn(tmp_path / "a.webp", [(k, k, k) for k in (0, 1, 2)], lossless=True, **extended)
        assert (b"VP8X" in (tmp_path / "a.webp").read_bytes()) == bool(extended)
        assert not held_values(tmp_path / "a.webp").lossy
        near = replace(TOOLS, values={0: 0, 1: 1, 2: 2})
        np.testing.assert_array_equal(class_numbers(tmp_path / "a.webp", near), before[..., 0])

    def test_with_loss(self, tmp_path):
        before = drawn(tmp_path / "a.webp", [BLACK, (255, 255, 255)])
        assert held_values(tmp_path / "a.webp").lossy
        assert (class_numbers(tmp_path / "a.webp", POLYP) == (before[..., 0] == 255)).mean() > 0.98


class TestRefused:
    def test_values_that_lie_close(self, tmp_path):
        drawn(tmp_path / "a.jpg", [0, 1, 2], "L")
        near = replace(TOOLS, values={0: 0, 1: 1, 2: 2})
        with pytest.raises(
            ValueError, match=r"a\.jpg: this format changes values .* only 1 apart; save the masks as PNG"
        ):
            class_numbers(tmp_path / "a.jpg", near)

    def test_a_value_that_is_not_listed(self, tmp_path):
        drawn(tmp_path / "a.jpg", [0, 255, 128], "L")
        with pytest.raises(ValueError, match=r"a\.jpg: 1[0-9]% of the pixels are near to none of the 2 listed values"):
            class_numbers(tmp_path / "a.jpg", POLYP)

    def test_faint_binary(self, tmp_path):
        drawn(tmp_path / "a.jpg", [0, 1], "L", quality=100)
        with pytest.raises(ValueError, match=r"a\.jpg: this format changes values"):
            is_there(tmp_path / "a.jpg")
