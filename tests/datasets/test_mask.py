from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import class_numbers, class_shares, gray_values, is_there

ORGANS = LabelMap("anatomy", "pixel", True, ("liver", "fat"), ((1, 2, 3), (4, 5, 6)), {0: IGNORE, 21: 0, 12: 1})
GRAY = np.array([[0, 21, 21], [12, 12, 0]], dtype=np.uint8)


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def deep(path: Path, pixels: np.ndarray) -> None:
    """Write 8 or 16 bits a channel, which Pillow cannot."""
    kind = {3: "rgb24", 4: "rgba"} if pixels.dtype == np.uint8 else {3: "rgb48le", 4: "rgba64le"}
    frame = av.VideoFrame.from_ndarray(pixels, format=kind[pixels.shape[2]])
    codec = av.CodecContext.create("png" if path.suffix == ".png" else "tiff", "w")
    codec.width, codec.height, codec.time_base = pixels.shape[1], pixels.shape[0], Fraction(1)
    codec.pix_fmt = frame.format.name if path.suffix == ".tif" else frame.format.name.replace("le", "be")
    path.write_bytes(
        b"".join(bytes(p) for p in [*codec.encode(frame.reformat(format=codec.pix_fmt)), *codec.encode(None)])
    )


class TestGrayValues:
    def test_gray_file(self, tmp_path):
        np.testing.assert_array_equal(gray_values(saved(tmp_path / "m.png", GRAY)), GRAY)

    @pytest.mark.parametrize("kind", ["png", "tif"])
    @pytest.mark.parametrize("channels", [3, 4])
    def test_16_bits_in_each_of_several_channels(self, tmp_path, channels, kind):
        """Of which Pillow reads the upper half, which is 0 for all numbers of classes."""
        path = tmp_path / f"deep.{kind}"
        deep(path, np.stack([GRAY.astype(np.uint16)] * channels, axis=2))
        for read in (gray_values, lambda mask: class_numbers(mask, FLUIDS)):
            with pytest.raises(ValueError, match=rf"deep\.{kind}: the mask has 16 bits in each of several channels"):
                read(path)
        for same in (GRAY, GRAY.astype(np.uint16) * 257):  # as 16 bits are made of 8
            opaque = [np.full_like(same, same.max())] * (channels - 3)
            deep(path, np.stack([same] * 3 + opaque, axis=2))
            np.testing.assert_array_equal(gray_values(path), GRAY)
        (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(ValueError, match=r"cut\.png: the mask cannot be read"):
            gray_values(tmp_path / "cut.png")

    @pytest.mark.parametrize("alpha", [False, True])
    def test_equal_channels_are_gray(self, tmp_path, alpha):
        channels = [GRAY] * 3 + [np.full_like(GRAY, 128)] * alpha
        np.testing.assert_array_equal(gray_values(saved(tmp_path / "m.png", np.stack(channels, axis=2))), GRAY)

    def test_gray_with_alpha(self, tmp_path):
        pixels = np.stack([GRAY, np.full_like(GRAY, 7)], axis=2)
        np.testing.assert_array_equal(gray_values(saved(tmp_path / "m.png", pixels)), GRAY)

    def test_colours_are_refused(self, tmp_path):
        path = saved(tmp_path / "colour.png", np.stack([GRAY, GRAY, GRAY + 1], axis=2))
        with pytest.raises(ValueError, match=r"colour\.png.*channels differ"):
            gray_values(path)

    def test_sixteen_bits(self, tmp_path):
        np.testing.assert_array_equal(gray_values(saved(tmp_path / "deep.png", GRAY.astype(np.uint16))), GRAY)

    def test_values_that_need_sixteen_bits_are_refused(self, tmp_path):
        path = saved(tmp_path / "deep.png", GRAY.astype(np.uint16) * 100)
        with pytest.raises(ValueError, match=r"deep\.png: the mask has uint16 values up to 2100, .* are 8-bit"):
            gray_values(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"gone\.png: the mask is missing"):
            gray_values(tmp_path / "gone.png")

    def test_cut_file(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
        path = saved(tmp_path / "cut.png", noise)
        path.write_bytes(path.read_bytes()[:600])
        with pytest.raises(ValueError, match=r"cut\.png: the mask cannot be read"):
            gray_values(path)

    def test_not_an_image(self, tmp_path):
        (tmp_path / "text.png").write_text("no picture")
        with pytest.raises(ValueError, match=r"text\.png: the mask cannot be read"):
            gray_values(tmp_path / "text.png")


class TestClassNumbers:
    def test_by_hand(self, tmp_path):
        classes = class_numbers(saved(tmp_path / "m.png", GRAY), ORGANS, (2, 3))
        np.testing.assert_array_equal(classes, [[255, 0, 0], [1, 1, 255]])
        assert classes.dtype == np.uint8

    def test_unlisted_gray_names_file_and_value(self, tmp_path):
        path = saved(tmp_path / "odd.png", np.array([[21, 77]], dtype=np.uint8))
        with pytest.raises(ValueError, match=r"odd\.png: gray value 77 .*'anatomy'.*\[0, 12, 21\]"):
            class_numbers(path, ORGANS)

    def test_all_unlisted_values_at_once(self, tmp_path):
        path = saved(tmp_path / "odd.png", np.array([[21, 77, 3, 77]], dtype=np.uint8))
        with pytest.raises(ValueError, match=r"gray values 3, 77 stand for no class .* \(75\.00% of the pixels\)"):
            class_numbers(path, ORGANS)

    def test_size_of_the_frame(self, tmp_path):
        path = saved(tmp_path / "small.png", GRAY)
        with pytest.raises(ValueError, match=r"small\.png: the mask is 2x3 but its frame is 4x6"):
            class_numbers(path, ORGANS, (4, 6))

    def test_stray_values_up_to_a_share(self, tmp_path):
        path = saved(tmp_path / "m.png", np.array([[21, 21, 12, 77]], dtype=np.uint8))
        tolerant = LabelMap("anatomy", "pixel", True, ORGANS.classes, ORGANS.colors, ORGANS.values, stray=0.25)
        np.testing.assert_array_equal(class_numbers(path, tolerant), [[0, 0, 1, 255]])
        less = LabelMap("anatomy", "pixel", True, ORGANS.classes, ORGANS.colors, ORGANS.values, stray=0.24)
        with pytest.raises(ValueError, match="gray value 77"):
            class_numbers(path, less)


RED, YELLOW, BLACK = (255, 0, 0), (255, 255, 0), (0, 0, 0)
FLUIDS = LabelMap("fluid", "pixel", True, ("blood", "bile"), (RED, YELLOW), {RED: 0, YELLOW: 1, BLACK: IGNORE})


class TestColours:
    PIXELS = np.array([[RED, YELLOW, BLACK], [YELLOW, YELLOW, RED]], dtype=np.uint8)

    @pytest.mark.parametrize("form", ["RGB", "RGBA", "palette"])
    def test_by_hand(self, tmp_path, form):
        image = Image.fromarray(self.PIXELS)
        image = image.convert("RGBA") if form == "RGBA" else image.quantize(8) if form == "palette" else image
        image.save(tmp_path / "m.png")
        np.testing.assert_array_equal(class_numbers(tmp_path / "m.png", FLUIDS), [[0, 1, 255], [1, 1, 0]])

    def test_unlisted_colour_names_file_and_value(self, tmp_path):
        pixels = self.PIXELS.copy()
        pixels[1, 1] = (255, 254, 0)
        path = saved(tmp_path / "odd.png", pixels)
        with pytest.raises(ValueError, match=r"odd\.png: colour 255/254/0 stands for no class of task 'fluid'"):
            class_numbers(path, FLUIDS)

    def test_stray_colours_are_ignored(self, tmp_path):
        pixels = self.PIXELS.copy()
        pixels[1, 1] = (255, 254, 0)  # 1 of 6 pixels; its neighbour in the list of colours is bile
        path = saved(tmp_path / "m.png", pixels)
        tolerant = LabelMap("fluid", "pixel", True, FLUIDS.classes, FLUIDS.colors, FLUIDS.values, stray=0.17)
        np.testing.assert_array_equal(class_numbers(path, tolerant), [[0, 1, 255], [1, 255, 0]])


class TestIndexedGrays:
    """A palette without a colour: the numbers in the file and what is seen may be values of classes, or one of them."""

    BINARY = LabelMap("anatomy", "pixel", True, ("fat", "liver"), ((0, 0, 0), (1, 1, 1)), {0: 0, 255: 1})

    def mask(self, tmp_path, palette, numbers=((0, 1), (1, 1))):
        image = Image.fromarray(np.array(numbers, np.uint8), mode="P")
        image.putpalette([gray for value in palette for gray in (value, value, value)])
        image.save(tmp_path / "m.png")
        return tmp_path / "m.png"

    def test_what_is_seen_where_that_alone_is_listed(self, tmp_path):
        path = self.mask(tmp_path, (255, 0))
        assert class_numbers(path, self.BINARY).tolist() == [[1, 0], [0, 0]]
        assert is_there(path).tolist() == [[True, False], [False, False]]

    def test_the_numbers_where_they_alone_are(self, tmp_path):
        labels = replace(self.BINARY, values={0: 0, 1: 1})
        assert class_numbers(self.mask(tmp_path, (0, 255)), labels).tolist() == [[0, 1], [1, 1]]

    def test_neither_where_both_are(self, tmp_path):
        labels = replace(self.BINARY, values={0: 0, 1: 1, 255: IGNORE})
        with pytest.raises(ValueError, match=r"numbers in it \(0, 1\) and the grays .* \(0, 255\) both .* 8-bit gray"):
            class_numbers(self.mask(tmp_path, (255, 0)), labels)

    def test_numbers_of_classes_where_the_palette_has_colours(self, tmp_path):
        image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.save(tmp_path / "m.png")
        assert class_numbers(tmp_path / "m.png", replace(self.BINARY, values={0: 0, 1: 1})).tolist() == [[0, 1]]
        assert is_there(tmp_path / "m.png").tolist() == [[False, True]]

    @pytest.mark.parametrize("palette", [[0, 0, 0, 255, 0, 0], [255, 0, 0, 0, 0, 0]])
    def test_a_coloured_one_is_there_where_it_is_not_black(self, tmp_path, palette):
        image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
        image.putpalette(palette)
        image.save(tmp_path / "m.png")
        assert is_there(tmp_path / "m.png").tolist() == [[palette[0] > 0, palette[3] > 0]]

    def test_two_colours_beside_black(self, tmp_path):
        image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        image.save(tmp_path / "m.png")
        with pytest.raises(ValueError, match=r"m\.png: .*0 and one other value, but it holds 0/255/0, 255/0/0 besides"):
            is_there(tmp_path / "m.png")


class TestClassShares:
    def test_by_hand(self, tmp_path):
        paths = [saved(tmp_path / "a.png", GRAY), saved(tmp_path / "b.png", np.full((2, 3), 21, dtype=np.uint8))]
        shares = class_shares(paths, ORGANS, [(2, 3), (2, 3)])
        np.testing.assert_allclose(shares, [[2 / 6, 2 / 6], [1, 0]])

    def test_a_bad_mask_is_named(self, tmp_path):
        good = saved(tmp_path / "a.png", GRAY)
        bad = saved(tmp_path / "bad.png", np.array([[9]], dtype=np.uint8))
        with pytest.raises(ValueError, match=r"bad\.png: gray value 9"):
            class_shares([good] * 20 + [bad] + [good] * 20, ORGANS, [(2, 3)] * 20 + [(1, 1)] + [(2, 3)] * 20)

    def test_all_bad_masks_are_told_at_once(self, tmp_path):
        bad = [saved(tmp_path / f"{k}.png", np.array([[9]], dtype=np.uint8)) for k in range(5)]
        with pytest.raises(ValueError, match=r"^5 faults:(\n  .*\d\.png: gray value 9 .*){5}$"):
            class_shares(bad, ORGANS, [(1, 1)] * 5)

    def test_no_masks(self):
        assert class_shares([], ORGANS, []).shape == (0, 2)
