from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import class_numbers, gray_values, held_values, is_there

ORGANS = LabelMap("organs", "pixel", True, ("rest", "liver"), ((1, 2, 3), (4, 5, 6)), {0: 0, 1: 1, 255: IGNORE})
COLOURS = replace(ORGANS, values={(0, 0, 0): 0, (255, 0, 0): 1})
VALUES, ALPHA = np.array([[0, 1, 1]], np.uint8), np.array([[0, 255, 0]], np.uint8)  # the third pixel was erased
ERASED = r"m\.png: (33\.33|66\.67)% of the mask is transparent, .* was erased there; fill these pixels"


def saved(tmp_path, values, alpha, form="LA"):
    """[1, W] as a picture with an alpha channel, or as grays or indices of which one is transparent."""
    image = Image.fromarray(values)
    options = {}
    if form in ("L", "P"):
        options["transparency"] = int(values[alpha == 0][0])
        if form == "P":
            image = Image.fromarray(values, mode="P")
            image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    else:
        image = image.convert(form)
        image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "m.png", **options)
    return tmp_path / "m.png"


@pytest.mark.parametrize("form", ["LA", "RGBA"])
class TestErased:
    def test_is_not_there_in_a_mask_of_one_class(self, tmp_path, form):
        path = saved(tmp_path, VALUES * 255, ALPHA, form)
        assert is_there(path).tolist() == [[False, True, False]]
        vessel = LabelMap("vessels", "pixel", False, ("artery", "duct"), ((1, 2, 3), (4, 5, 6)), {0: 0, 255: 1})
        assert class_numbers(path, vessel).tolist() == [[0, 1, 0]]

    def test_is_refused_in_one_of_several(self, tmp_path, form):
        path = saved(tmp_path, VALUES, ALPHA, form)
        for read in (gray_values, held_values, lambda mask: class_numbers(mask, ORGANS)):
            with pytest.raises(ValueError, match=ERASED):
                read(path)

    def test_an_empty_canvas_is_0(self, tmp_path, form):
        path = saved(tmp_path, VALUES, VALUES * 255, form)
        assert class_numbers(path, ORGANS).tolist() == [[0, 1, 1]]

    def test_half_is_unclear(self, tmp_path, form):
        path = saved(tmp_path, VALUES * 255, np.array([[0, 128, 255]], np.uint8), form)
        with pytest.raises(ValueError, match=r"m\.png: the mask is half transparent in 33\.33% of its pixels"):
            is_there(path)


class TestColours:
    PIXELS = np.array([[[0, 0, 0], [255, 0, 0], [255, 0, 0]]], np.uint8)

    def test_erased_ones_are_refused(self, tmp_path):
        for read in (held_values, lambda mask: class_numbers(mask, COLOURS)):
            with pytest.raises(ValueError, match=ERASED):
                read(saved(tmp_path, self.PIXELS, ALPHA, "RGBA"))

    def test_an_empty_canvas_is_black(self, tmp_path):
        path = saved(tmp_path, self.PIXELS, VALUES * 255, "RGBA")
        assert class_numbers(path, COLOURS).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("form", ["L", "P"])
class TestOneTransparentValue:
    def test_of_a_class_is_refused(self, tmp_path, form):
        with pytest.raises(ValueError, match=ERASED):
            class_numbers(saved(tmp_path, VALUES, 255 - VALUES * 255, form), ORGANS)

    def test_of_the_ground_is_0(self, tmp_path, form):
        assert class_numbers(saved(tmp_path, VALUES, VALUES * 255, form), ORGANS).tolist() == [[0, 1, 1]]
