import numpy as np
import pandas as pd
import pytest
from miniature import film

from mtal.annotation.around import neighbours, pictures_around
from mtal.frames.reader import open_reader


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Ten seconds of two frames each; frame k has the gray 12 k."""
    path = tmp_path_factory.mktemp("film") / "case.mp4"
    film.write(path, [np.full((48, 64, 3), 12 * k, np.uint8) for k in range(20)], fps=2)
    return path


@pytest.mark.parametrize(
    ("frame", "around"),
    [
        (10, {2: -4, 6: -2, 8: -1, 10: 0, 12: 1, 14: 2, 18: 4}),
        (0, {0: 0, 2: 1, 4: 2, 8: 4}),
        (19, {11: -4, 15: -2, 17: -1, 19: 0}),
    ],
)
def test_seconds_that_the_recording_has(recording, frame, around):
    with open_reader(recording) as reader:
        assert neighbours(reader, frame) == pytest.approx(around)
        assert list(neighbours(reader, frame)) == list(around)


def test_a_frame_that_is_not_there(recording):
    with (
        open_reader(recording) as reader,
        pytest.raises(ValueError, match=r"case\.mp4: frame 20 cannot be read; it has 20"),
    ):
        neighbours(reader, 20)


def test_each_frame_with_its_surroundings(recording):
    frames = pd.DataFrame({"source": str(recording), "frame": [16, 4]})
    seen = {s.row: s for s in pictures_around(frames)}
    assert [int(seen[row].picture.mean().round()) for row in (0, 1)] == pytest.approx([192, 48], abs=3)
    strips = seen[0].strip  # -4, -2, -1, 0 and 1 seconds; 1.5 is the end
    assert strips.shape == (128, 5 * (160 + 4) + 4, 3)
    middles = [int(strips[64, 84 + 164 * n, 0]) for n in range(5)]
    assert middles == pytest.approx([12 * k for k in (8, 12, 14, 16, 18)], abs=3)
    assert strips[64, 4 + 3 * 164 - 2].tolist() == [255, 200, 0]
    assert strips[64, 4 + 2 * 164 - 2].tolist() == [0, 0, 0]
