import numpy as np
import pytest
from miniature import annotated
from miniature.squares import H, W

from mtal.datasets.annotations import cvat
from mtal.datasets.annotations.shapes import drawn


def read(root, old="", new=""):
    text = annotated.cvat(root)
    assert old in text
    (root / "annotations.xml").write_text(text.replace(old, new, 1))
    return cvat.read(root / "annotations.xml", None)


def with_mark(root, mark):
    return read(root, '<tag label="hook"/>', mark).images[0].marks


class TestRead:
    def test_attributes(self, root):
        attributes = (
            '<attribute name="active">true</attribute><attribute name="on">fat</attribute><attribute name="x"/>'
        )
        marks = with_mark(root, f'<tag label="hook">{attributes}</tag>')
        assert marks[-1].names == ("hook", "hook/active", "hook/on=fat")

    def test_levels(self, root):
        marks = with_mark(root, '<polygon label="fat" points="0,0;4,0;4,4" z_order="-2"/>')
        assert [m.level for m in marks] == [0, 0, 0, 0, -2]

    def test_an_ellipse(self, root):
        marks = with_mark(root, '<ellipse label="fat" cx="8" cy="6" rx="4" ry="2" rotation="90"/>')
        y, x = np.mgrid[0.5:H, 0.5:W]  # centres of pixels
        inside = ((x - 8) / 2) ** 2 + ((y - 6) / 4) ** 2 <= 1
        assert (drawn(marks[-1].shape.rle((H, W))) ^ inside).sum() <= 4  # at the rim

    @pytest.mark.parametrize("kind", ["polyline", "points", "cuboid", "skeleton", "box"])
    def test_places_without_an_outline(self, root, kind):
        assert with_mark(root, f'<{kind} label="fat" points="1,1;2,2"/>')[-1].kind == "box"

    def test_frames_of_a_video_have_no_suffix(self, root):
        found = read(root, 'name="images/ada/0004.png"', 'name="images/ada/0004"')
        assert found.images[0].file == "images/ada/0004.png"

    def test_folders_of_subsets(self, root):
        text = (
            annotated.cvat(root)
            .replace('name="images/ada/', 'subset="Train" name="')
            .replace('name="images/ben/', 'subset="Test" name="')
        )
        (root / "images/ada").rename(root / "images/Train")
        (root / "images/ben").rename(root / "images/Test")
        (root / "annotations.xml").write_text(text)
        found = cvat.read(root / "annotations.xml", None)
        assert [(i.file, i.split) for i in found.images] == [
            ("Train/0004.png", "pool"),
            ("Train/0009.png", "pool"),
            ("Test/0002.png", "test"),
        ]


class TestDamage:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("</annotations>", "", r"this is no XML of annotations \(no element found"),
            (
                "<annotations>",
                '<!DOCTYPE a [<!ENTITY b "c">]><annotations>',
                r"its XML declares entities, which annotations have none of .* \(Entities.*; export it",
            ),
            (
                "<annotations>",
                '<?xml version="1.0" encoding="klingon"?><annotations>',
                r"its XML is in an encoding that is not read \(unknown encoding.*\); save it as UTF-8",
            ),
            ('points="4.0', 'ponts="4.0', r"drawn: 1 \(<polygon> in images/ada/0004\.png: 'points' is missing\)"),
            (
                "<image",
                '<track label="fat"/><image',
                r"this is 'CVAT for video 1\.1'; export .* 'CVAT for images 1\.1'",
            ),
            ('label="hook"', 'label="hok"', r"labels that the task does not list: 1 \('hok', <tag> in images/ada/0004"),
            ('points="4.0', 'points="x', r"drawn: 1 \(<polygon> in images/ada/0004\.png: could not convert"),
            ('points="', 'dots="', r"drawn: 1 \(<polygon> in images/ada/0004\.png: 'points'"),
            ('rle="', 'rle="1, ', r"<mask> in images/ada/0004\.png: run lengths of \d+ pixels for a mask of 8x8"),
            ('left="8"', 'left="9"', r"a mask of 8x8 \(height x width\) at row 4, column 9, which is not in the 12x16"),
            ('width="16"', 'width="17"', r"another size than the annotations say: 1 \(0004\.png is 12x16.*, not 12x17"),
            ("images/ada/0009", "images/ada/0004", r"images listed twice: 1 \('images/ada/0004\.png'\)"),
        ],
    )
    def test_is_named(self, root, old, new, message):
        text = annotated.cvat(root)
        if "points" in old and "4.0" in old:
            old = old.replace("4.0", text.partition('points="')[2][0])
        with pytest.raises(ValueError, match=r"annotations\.xml: .*" + message):
            read(root, old, new)

    def test_another_format(self, root):
        (root / "annotations.xml").write_text("<annotation/>")
        with pytest.raises(
            ValueError, match=r"no file of CVAT \(its root is <annotation>\); say what it is by data\.format"
        ):
            cvat.read(root / "annotations.xml", None)

    def test_no_images(self, root):
        (root / "annotations.xml").write_text("<annotations/>")
        with pytest.raises(ValueError, match=r"no <image> in this file"):
            cvat.read(root / "annotations.xml", None)
