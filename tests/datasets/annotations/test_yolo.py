import numpy as np
import pytest
from miniature import annotated
from miniature.squares import H, W

from mtal.datasets.annotations import yolo
from mtal.datasets.annotations.shapes import drawn


@pytest.fixture
def set_(root):
    annotated.yolo(root)
    return root


def describe(root, text):
    (root / "data.yaml").write_text(text)
    return yolo.read(root / "data.yaml", None)


NAMES = "names: [liver, fat, hook, clip]\n"


class TestRead:
    def test_an_oriented_box_is_an_outline(self, set_):
        (set_ / "labels/ada/0009.txt").write_text("1 0.25 0 0.5 0 0.5 0.5 0.25 0.5\n")
        mark = yolo.read(set_, None).images[1].marks[0]
        mask = np.zeros((H, W), dtype=bool)
        mask[:6, 4:8] = True
        np.testing.assert_array_equal(drawn(mark.shape.rle((H, W))), mask)

    def test_sure_boxes_and_key_points(self, set_):
        (set_ / "labels/ada/0009.txt").write_text("2 0.5 0.5 0.1 0.1 0.9\n3 0.5 0.5 0.1 0.1 9 9 2 9 9 2\n")
        found = describe(set_, "train: images\nkpt_shape: [2, 3]\n" + NAMES)
        assert [(m.names, m.kind) for m in found.images[1].marks] == [(("hook",), "box"), (("clip",), "box")]

    @pytest.mark.parametrize(
        "text",
        [
            "path: /somewhere/else\ntrain: images/ada\ntest: [images/ben]\n",
            "path: .\ntrain: ../images/ada\ntest: ../images/ben\n",  # as Roboflow writes it
            "train: train.txt\ntest: images/ben/0002.png\n",
        ],
    )
    def test_ways_to_say_where_images_are(self, set_, text):
        (set_ / "train.txt").write_text("data/images/ada/0004.png\n\n./images/ada/0009.png\n")  # as CVAT writes it
        found = describe(set_, text + NAMES)
        expected = [("images/ada/0004.png", "pool"), ("images/ada/0009.png", "pool"), ("images/ben/0002.png", "test")]
        assert [(i.file, i.split) for i in found.images] == expected
        assert all(i.annotated for i in found.images)

    def test_linked_folders_capitals_and_marks_of_utf_8(self, set_, tmp_path):
        expected = describe(set_, "train: images\n" + NAMES)
        for folder in ("images", "labels"):
            (set_ / folder / "ben").rename(tmp_path / f"ben_{folder}")
            (set_ / folder / "ben").symlink_to(tmp_path / f"ben_{folder}")
        labels = set_ / "labels/ada/0004.txt"
        labels.with_suffix(".TXT").write_text(labels.read_text(), "utf-8-sig")
        labels.unlink()
        found = yolo.read(set_, None)
        assert [i.file for i in found.images] == [i.file for i in expected.images]
        assert [[m.names for m in i.marks] for i in found.images] == [
            [m.names for m in i.marks] for i in expected.images
        ]


class TestDamage:
    def test_labels_in_another_encoding(self, set_):
        (set_ / "labels/ada/0009.txt").write_text("2 0.5 0.5 0.1 0.1", "utf-16")
        with pytest.raises(ValueError, match=r"data\.yaml: files that are no text in UTF-8: 1 \(.*0009\.txt\)"):
            yolo.read(set_, None)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("2 0.5 0.5 0.1", r"neither box nor outline: 1 \(.*0009\.txt, line 1: 4 numbers\)"),
            ("2 0 0 1 1 1 1 0", r"neither box nor outline: 1"),
            ("hook 0.5 0.5 0.1 0.1", r"that are no numbers: 1 \(.*0009\.txt, line 1\)"),
            ("4 0.5 0.5 0.1 0.1", r"classes that 'names' does not list: 1 \(.*0009\.txt, line 1: 4\)"),
            ("2 320 240 50 60", r"no shares of the image, 0 to 1: 1 \(.*0009\.txt, line 1\)"),
            ("2 nan 0.5 0.1 0.1", r"no shares of the image, 0 to 1"),
        ],
    )
    def test_of_lines(self, set_, line, message):
        (set_ / "labels/ada/0009.txt").write_text(line)
        with pytest.raises(ValueError, match=r"data\.yaml: lines .*" + message):
            yolo.read(set_, None)

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("train: [", ValueError, r"data\.yaml: this is no YAML \("),
            ("- a", ValueError, r"'names' is no list of classes"),
            ("train: images\nnames: {a: 1}\n", ValueError, r"'names' is no list of classes and no mapping"),
            (
                "train: nothing\n" + NAMES,
                FileNotFoundError,
                r"'train' is 'nothing', but .* remove it or give data\.root",
            ),
            ("train: ../../x\n" + NAMES, ValueError, r"'train' is '\.\./\.\./x', which leads out of"),
            ("train: /x\n" + NAMES, ValueError, r"'train' is '/x', which leads out of"),
            ("train:\n" + NAMES, FileNotFoundError, r"it names no images; 'train', 'val' and 'test' are folders"),
            (
                "train: bad.txt\n" + NAMES,
                ValueError,
                r"bad\.txt: .*out of its folder: 1 \('\.\./a\.png'\); .* 1 \(b\.png",
            ),
        ],
    )
    def test_of_the_description(self, set_, text, error, message):
        (set_ / "bad.txt").write_text("../a.png\nb.png\n")
        with pytest.raises(error, match=message):
            describe(set_, text)

    def test_a_description_in_another_encoding(self, set_):
        (set_ / "data.yaml").write_bytes("names: [café]".encode("latin-1"))
        with pytest.raises(ValueError, match=r"data\.yaml: this is no text in UTF-8 \(.*; save it as such"):
            yolo.read(set_, None)

    def test_no_labels_at_all(self, set_):
        for file in (set_ / "labels").rglob("*.txt"):
            file.unlink()
        with pytest.raises(FileNotFoundError, match=r"labels/ada/0004\.txt: no image has its text file"):
            yolo.read(set_, None)

    def test_no_description(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"data\.yaml: there is no such file; give a data\.yaml"):
            yolo.read(tmp_path, None)
