import numpy as np
import pytest

from mtal.datasets.label_map import IGNORE
from mtal.tasks.events import DENSE_S, Events, find_events


def found(said, labels, videos=None, times=None):
    return find_events(
        np.array(said, dtype=np.float64),
        np.array(labels, dtype=np.uint8),
        ["v"] * len(said) if videos is None else list(videos),
        np.arange(len(said), dtype=np.float64) if times is None else np.array(times, dtype=np.float64),
    )


def test_worked_example():
    #        event found after 2 s; missed; a false alarm of two frames, and one that touches an event
    labels = [0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1]
    said = [0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0.9]
    assert found(said, labels) == Events(2, 1, 1.0, 1, 10.0)


def test_videos_and_gaps_end_events():
    both = found([1, 1, 1, 1], [1, 1, 1, 1], "aabb", [0, 1, 0, 1])
    assert (both.found, both.seconds) == (2, 2.0)
    apart = found([1, 1, 1, 1], [1, 1, 1, 1], times=[0, 1, 1 + DENSE_S + 0.1, 5])
    assert apart.found == 2


def test_frames_of_broadcast_video_are_dense_at_half_a_frame_a_second():
    """The nearest of 29.97 frames a second lie 2.002 s apart."""
    times = [round(2 * k * 29.97) / 29.97 for k in range(5)]
    assert max(np.diff(times)) > DENSE_S
    assert found([1, 1, 1, 0, 0], [0, 1, 1, 0, 0], times=times).found == 1


def test_order_does_not_matter_and_unannotated_frames_are_passed_over():
    said, labels = [0.1, 0.9, 0.2, 0.8], [1, IGNORE, 1, 0]
    forth = found(said, labels)
    assert forth == found(said[::-1], labels[::-1], times=[3, 2, 1, 0])
    assert (forth.found, forth.missed, forth.false_alarms) == (0, 1, 1)
    assert forth.seconds_to_detection is None


@pytest.mark.parametrize("times", [[0, 30, 60], [0, 2.5, 5]])
def test_sparse_frames_show_no_events(times):
    assert found([1, 1, 1], [1, 0, 1], times=times) is None
