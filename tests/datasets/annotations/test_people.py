from pathlib import Path

import pytest

from mtal.datasets.annotations.people import patients_of

SOURCE = Path("a.json")


def test_folders_that_are_not_called_as_layouts_are():
    files = ["train/images/ada/seq1/1.png", "ben/1.png", "JPEGImages/cyd/1.png"]
    assert patients_of(SOURCE, files, "folder") == ["ada", "ben", "cyd"]


def test_folders_of_splits_with_a_year_are_layout_too():
    files = ["coco/train2017/ada_1.jpg", "coco/test2017/ada_2.jpg"]
    assert patients_of(SOURCE, files, "folder") == ["coco", "coco"]
    with pytest.raises(ValueError, match="nothing tells the patient: 1"):
        patients_of(SOURCE, ["train2017/ada_1.jpg"], "folder")
    assert patients_of(SOURCE, ["train01/left/1.jpg", "test02/left/1.jpg"], "folder") == ["train01", "test02"]


def test_images_without_such_a_folder():
    files = ["train/images/ada_1.png", "x.png", "ben/1.png"]
    with pytest.raises(
        ValueError, match=r"a\.json: images of which nothing tells the patient: 2 \(train/images/ada_1\.png"
    ):
        patients_of(SOURCE, files, "folder")


def test_a_pattern():
    assert patients_of(SOURCE, ["x/video01_000123.png", "b_c/2_9.png"], "([^/]+)_[0-9]+") == ["video01", "2"]
    assert patients_of(SOURCE, ["a/b/1.png"], "^(.+)/") == ["a_b"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"data\.patients='\(' is no regular expression: missing"),
        ("[a-z]+", r"has 0 groups; put what tells the patient, and that alone, into parentheses"),
        ("(a)(b)", r"has 2 groups"),
        ("(z+)", r"the patient: 1 \(a\.png\); make data\.patients, which is '\(z\+\)', fit these too"),
    ],
)
def test_patterns_that_do_not_fit(pattern, message):
    with pytest.raises(ValueError, match=message):
        patients_of(SOURCE, ["a.png"], pattern)


def test_a_table(tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("image,patient\na.png,ada\nb/c.png,7\n")
    assert patients_of(SOURCE, ["b/c.png", "a.png"], str(table)) == ["7", "ada"]
    with pytest.raises(
        ValueError, match=r"the patient: 1 \(d\.png\); add rows with their paths as they stand here to .*who"
    ):
        patients_of(SOURCE, ["a.png", "d.png"], str(table))
    table.write_text("image,patient\na.png,ada\nd.png,ben\na.png,ben\nd.png,ben\n")
    with pytest.raises(ValueError, match=r"who\.csv: images of two patients: 1 \(a\.png \(ada, ben\)\); keep"):
        patients_of(SOURCE, ["a.png", "d.png"], str(table))
    table.write_text("img,patient\na.png,ada\n")
    with pytest.raises(
        ValueError, match=r"who\.csv: the columns are img, patient; there must be 'image' and 'patient'"
    ):
        patients_of(SOURCE, ["a.png"], str(table))
