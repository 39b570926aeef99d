import pandas as pd
import pytest
from PIL import Image

from mtal.frames.frame_files import frame_files
from mtal.frames.image_folder import folder_source


@pytest.fixture
def folder(tmp_path):
    """Pictures 3 and 12."""
    for name in ("a_0003.png", "b_12.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def files(*rows):
    return frame_files(pd.DataFrame(rows, columns=["source", "frame"]))


def test_pictures_by_number_and_by_order(folder):
    by_number, by_order = folder_source(folder, first_number=1), folder_source(folder, first_number=None)
    found = files((by_number, 11), (by_order, 0), (by_number, 2), (by_order, 1))
    assert found == [str(folder / name) for name in ("b_12.jpg", "a_0003.png", "a_0003.png", "b_12.jpg")]


def test_a_video_is_the_file_of_all_its_frames(tmp_path):
    assert files((str(tmp_path / "a.mp4"), 3), ("b.mp4", 4)) == [str(tmp_path / "a.mp4"), "b.mp4"]


def test_pictures_that_are_gone(folder):
    """Frames are cached, so that a run may outlive them."""
    source = folder_source(folder)
    (folder / "b_12.jpg").unlink()
    assert files((source, 3), (source, 12)) == [str(folder / "a_0003.png"), str(folder)]
    (folder / "a_0003.png").rename(folder / "cover.png")
    assert files((source, 3)) == [str(folder)]
    assert files((folder_source(folder / "gone"), 3)) == [str(folder / "gone")]
