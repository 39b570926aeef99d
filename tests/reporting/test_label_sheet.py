import numpy as np
import pytest
from PIL import Image

from mtal.reporting.label_sheet import LabelledPicture, write_label_sheet

GREEN = (0, 200, 0)


def labelled(number, mask):
    image = np.full((40, 60, 3), 255, dtype=np.uint8)
    return LabelledPicture(f"v/{number:06d} (pool)", image, [mask], ["tools: hook", "bleeding: not annotated"])


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def green(path):
    """Share of the sheet that is of the colour of the mask's inside: 0.4 green over white."""
    pixels = read(path).astype(int)
    return (np.abs(pixels - (153, 233, 153)).max(axis=2) < 4).mean()


class TestSheet:
    def test_a_mask_is_drawn_beside_the_image(self, tmp_path):
        mask = np.full((40, 60), 255, dtype=np.uint8)
        empty = write_label_sheet(tmp_path / "a.png", [labelled(0, mask)] * 4, [(("liver",), (GREEN,))])
        half = mask.copy()
        half[:, :30] = 0
        drawn = write_label_sheet(tmp_path / "b.png", [labelled(0, half)] * 4, [(("liver",), (GREEN,))])
        whole = write_label_sheet(tmp_path / "c.png", [labelled(0, mask * 0)] * 4, [(("liver",), (GREEN,))])
        assert green(empty) == 0
        assert green(drawn) == pytest.approx(green(whole) / 2, rel=0.1)
        assert green(whole) > 0.1

    def test_names_with_dollars_are_no_formula(self, tmp_path):
        named = LabelledPicture("x$_$p1/000001", labelled(0, np.zeros((40, 60), np.uint8)).image, [], ["tools: a$^$"])
        assert write_label_sheet(tmp_path / "a.png", [named], []).is_file()

    def test_masks_of_classes_that_overlap(self, tmp_path):
        layers = np.zeros((2, 40, 60), dtype=np.uint8)
        layers[0], layers[1, :, :30] = 1, 1
        legend = (("liver", "fat"), (GREEN, (255, 255, 255)))
        both = write_label_sheet(tmp_path / "a.png", [labelled(0, layers)] * 4, [legend])
        layers[1] = 255
        one = write_label_sheet(tmp_path / "b.png", [labelled(0, layers)] * 4, [legend])
        assert green(both) == pytest.approx(green(one) / 2, rel=0.1)  # white over the left half of the green

    def test_more_pictures_make_a_taller_sheet(self, tmp_path):
        mask = np.zeros((40, 60), dtype=np.uint8)
        heights = [
            len(read(write_label_sheet(tmp_path / f"{n}.png", [labelled(0, mask)] * n, [(("a",), (GREEN,))])))
            for n in (3, 4)
        ]
        assert heights[1] > 1.5 * heights[0]

    def test_without_masks(self, tmp_path):
        picture = LabelledPicture("v/000000", np.zeros((8, 8, 3), np.uint8), [], ["tools: none"])
        assert write_label_sheet(tmp_path / "new" / "s.png", [picture], []).is_file()

    def test_nothing_to_draw(self, tmp_path):
        with pytest.raises(ValueError, match=r"s\.png: there is no picture"):
            write_label_sheet(tmp_path / "s.png", [], [])

    def test_sizes_differ(self, tmp_path):
        with pytest.raises(ValueError, match="the image is"):
            write_label_sheet(tmp_path / "s.png", [labelled(0, np.zeros((4, 4), np.uint8))], [(("a",), (GREEN,))])
