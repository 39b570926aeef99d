import math

import av
import numpy as np
import pytest

from mtal.datasets.film_header import film_header
from mtal.frames.keyframes import marked, stream_keyframes
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.reader import open_reader

from .conftest import HEIGHT, WIDTH, encode, rotated

# matrix a b c d: (x, y), y pointing down, is shown at (a x + c y, b x + d y)
SHOWN = {
    "as it is": ((1, 0, 0, 1), lambda p: p),
    "left is right": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    "top is bottom": ((1, 0, 0, -1), lambda p: p[::-1]),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "counterclockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "rows are columns": ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    "the other diagonal": ((0, -1, -1, 0), lambda p: p.swapaxes(0, 1)[::-1, ::-1]),
    "enlarged": ((2, 0, 0, 2), lambda p: p),
}


@pytest.mark.parametrize("name", SHOWN)
def test_pictures_are_shown_as_viewers_do(tmp_path, name):
    matrix, show = SHOWN[name]
    path = rotated(tmp_path / "a.mp4", matrix)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    if "is" not in name and "diagonal" not in name and "rows" not in name:  # FFmpeg has no angle for mirrored pictures
        expected = np.rot90(frames[30].to_ndarray(format="rgb24"), round(frames[30].rotation / 90))
        np.testing.assert_array_equal(show(frames[30].to_ndarray(format="rgb24")), expected)
    with PyAVReader(path) as reader:
        assert reader.frame_size == ((HEIGHT, WIDTH) if matrix[0] else (WIDTH, HEIGHT))
        np.testing.assert_array_equal(reader.read([30])[0], show(frames[30].to_ndarray(format="rgb24")))
        key = marked(reader)[1:2]
        (picture,) = stream_keyframes(reader, key)
        np.testing.assert_array_equal(picture, show(frames[key[0]].to_ndarray(format="rgb24")))
    assert film_header(path) == (60, reader.frame_size)


def test_decord_does_not_turn(clip):
    with pytest.raises(ValueError, match=r"rotated\.mp4: decord may return wrong frames: its pictures are turned"):
        open_reader(clip("rotated"), "decord")


def test_no_right_angle(tmp_path):
    sine, cosine = math.sin(math.radians(10)), math.cos(math.radians(10))
    path = rotated(tmp_path / "a.mp4", (cosine, sine, -sine, cosine))
    with pytest.raises(ValueError, match=r"a\.mp4: the file says to turn its pictures by 10 degrees, but .*re-encode"):
        PyAVReader(path)


def test_an_empty_matrix_says_nothing(tmp_path):
    with (
        PyAVReader(rotated(tmp_path / "a.mp4", (0, 0, 0, 0))) as reader,
        PyAVReader(encode(tmp_path / "b.mp4")) as plain,
    ):
        np.testing.assert_array_equal(reader.read([3]), plain.read([3]))
