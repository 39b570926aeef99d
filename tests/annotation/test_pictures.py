import pandas as pd

from mtal.annotation.pictures import picture_names


def test_names_of_pictures_fit_into_a_folder(tmp_path):
    """Two recordings deep in folders of a hospital, which are told apart by their ends and by their order."""
    frames = pd.DataFrame({"video": ["手术/" * 40 + "甲", "手术/" * 40 + "乙"], "frame": [3, 3]})
    names = picture_names(frames)
    for name, end in zip(names, "甲乙", strict=True):
        (tmp_path / name).touch()
        assert name.endswith(f"手术_{end}_000003.png")
    assert [name[:4] for name in names] == ["001_", "002_"]


def test_short_names_are_whole():
    assert picture_names(pd.DataFrame({"video": ["ward/bo"], "frame": [12]})) == ["001_ward_bo_000012.png"]
