import base64
import io
import json

import numpy as np
import pytest
from miniature import annotated
from PIL import Image

from mtal.datasets.annotations import labelme
from mtal.datasets.annotations.shapes import drawn


@pytest.fixture
def set_(root):
    annotated.labelme(root)
    return root / "images"


def cut() -> str:
    """Half of a PNG."""
    file = io.BytesIO()
    Image.effect_noise((30, 30), 50).save(file, "PNG")
    return base64.b64encode(file.getvalue()[:300]).decode()


def white(alpha: list[list[int]]) -> str:
    """A white PNG with an alpha channel."""
    image, file = Image.new("L", (2, 2), 255), io.BytesIO()
    image.putalpha(Image.fromarray(np.array(alpha, np.uint8)))
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def change(folder, **values):
    file = folder / "ada/0004.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def shape(**values):
    return [{"label": "fat", "points": [[8, 6], [8, 9]], **values}]


class TestRead:
    def test_a_circle(self, set_):
        change(set_, shapes=shape(shape_type="circle"))
        mask = drawn(labelme.read(set_, None).images[0].marks[-1].shape.rle((12, 16)))
        y, x = np.mgrid[0.5:12, 0.5:16]  # centres of pixels
        np.testing.assert_array_equal(mask, np.hypot(x - 8, y - 6) <= 3)

    def test_flags_of_shapes_and_places_without_an_outline(self, set_):
        change(set_, shapes=shape(shape_type="linestrip", flags={"cut": True, "old": False}))
        mark = labelme.read(set_, None).images[0].marks[-1]
        assert (mark.names, mark.kind) == (("fat", "fat/cut"), "box")

    def test_names_of_labelme_itself(self, set_):
        change(set_, shapes=shape(label="__ignore__") + shape(label="_background_"))
        found = labelme.read(set_, None)
        assert [m.names[0] for m in found.images[0].marks] == ["hook", "__ignore__", "background"]
        assert set(found.categories) == {"hook", "clip", "liver", "fat"}

    def test_linked_folders_and_capitals(self, set_, tmp_path):
        expected = labelme.read(set_, None)
        (set_ / "ben").rename(tmp_path / "elsewhere")
        (set_ / "ben").symlink_to(tmp_path / "elsewhere")
        (set_ / "ada/0004.json").rename(set_ / "ada/0004.JSON")
        (set_ / "ada/._0009.json").write_text("what some file systems leave behind")
        assert [i.file for i in labelme.read(set_, None).images] == [i.file for i in expected.images]

    @pytest.mark.parametrize("path", ["..\\..\\pictures\\0004.png", "C:/x/../0004.png", "0004.png"])
    def test_files_that_were_moved(self, set_, path):
        change(set_, imagePath=path if "C:" not in path else "../../../0004.png")
        assert labelme.read(set_, None).images[0].file == "ada/0004.png"


class TestMask:
    def test_what_is_transparent_is_not_there(self, set_):
        change(set_, shapes=shape(shape_type="mask", mask=white([[255, 0], [0, 255]])))
        mask = drawn(labelme.read(set_, None).images[0].marks[-1].shape.rle((12, 16)))
        assert np.argwhere(mask).tolist() == [[6, 8], [7, 9]]

    def test_half_is_unclear(self, set_):
        change(set_, shapes=shape(shape_type="mask", mask=white([[255, 0], [0, 128]])))
        with pytest.raises(ValueError, match=r"0004\.json, shape 0: a mask that is half transparent in 25\.00% of"):
            labelme.read(set_, None)


class TestDamage:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"shapes": None}, r"JSON files that are not LabelMe's: 1 \(0004\.json has no list 'shapes'\)"),
            ({"imagePath": None}, r"JSON files without 'imagePath': 1 \(0004\.json\)"),
            ({"imageHeight": 5}, r"another size than the annotations say: 1 \(0004\.png is 12x16"),
            ({"imageHeight": 5.0}, r"another size than the annotations say: 1 \(0004\.png is 12x16.*not 5x16"),
            ({"imageWidth": "5"}, r"another size than the annotations say: 1 \(0004\.png is 12x16.*not 12x5"),
            (
                {"imageWidth": [16]},
                r"sizes of images that cannot be read: 1 \(0004\.json: width \[16\] is no number of",
            ),
            (
                {"flags": ["hook"]},
                r"flags that are no mapping from names to true or false: 1 \(0004\.json\)",
            ),
            ({"shapes": [{"points": []}]}, r"shapes without a label: 1 \(0004\.json, shape 0\)"),
            ({"shapes": shape(points=[[1, 2, 3]])}, r"0004\.json, shape 0: a polygon of 3 numbers"),
            ({"shapes": shape(points="xy")}, r"0004\.json, shape 0: a polygon holds"),
            ({"shapes": shape(shape_type="circle", points=[[1, 2]])}, r"0004\.json, shape 0: not enough values"),
            ({"shapes": [{"label": "hook"}]}, r"0004\.json, shape 0: 'points' is missing\)"),
            (
                {"shapes": shape(shape_type="mask", mask="abc")},
                r"shape 0: a mask that is no base64 text \(Incorrect pad",
            ),
            ({"shapes": shape(shape_type="mask", mask="?")}, r"0004\.json, shape 0: a mask that is no PNG\)"),
            (
                {"shapes": shape(shape_type="mask", mask=cut())},
                r"0004\.json, shape 0: a mask whose PNG is not whole \(",
            ),
        ],
    )
    def test_is_named(self, set_, values, message):
        change(set_, **values)
        with pytest.raises(ValueError, match=message):
            labelme.read(set_, None)

    def test_no_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no \.json files here"):
            labelme.read(tmp_path, None)
