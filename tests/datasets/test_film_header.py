import sys

import pytest
from miniature import film

from mtal.datasets.film_header import film_header


def test_frames_and_size(tmp_path):
    path = film.write(tmp_path / "v.mp4", film.numbered(7, (12, 16)))
    assert film_header(path) == (7, (12, 16))


def test_a_container_that_does_not_say(tmp_path):
    path = film.write(tmp_path / "v.mkv", film.numbered(7, (12, 16)))
    assert film_header(path) == (sys.maxsize, (12, 16))


def test_no_video(tmp_path):
    (tmp_path / "v.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"v\.mp4: not a video"):
        film_header(tmp_path / "v.mp4")
