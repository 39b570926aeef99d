import numpy as np
import pytest

from mtal.frames.request import positions

FRAMES = np.array([0, 3, 9])


def test_order_and_repeats():
    assert positions("s", FRAMES, [9, 0, 9, 3]).tolist() == [2, 0, 2, 1]
    assert positions("s", FRAMES, []).tolist() == []


@pytest.mark.parametrize("frame", [-1, 1, 10])
def test_a_frame_that_is_not_there(frame):
    with pytest.raises(IndexError, match=rf"clip: there is no frame {frame}; frames run from 0 to 9 \(3 of them\)"):
        positions("clip", FRAMES, [0, frame])


def test_no_frames_at_all():
    with pytest.raises(IndexError, match="clip: there is no frame 0; it has no frames"):
        positions("clip", np.array([], dtype=np.int64), [0])


def test_several_frames_that_are_not_there():
    with pytest.raises(IndexError, match=r"clip: 4 frames are not there, first 1, 2, 7; frames run from 0 to 9 \("):
        positions("clip", FRAMES, [10, 7, 0, 2, 1, 7])
