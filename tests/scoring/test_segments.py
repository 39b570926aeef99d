import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtal.scoring.segments import FEWEST, MOST, Segment, Videos


def videos(*lengths):
    return Videos(np.repeat(np.arange(len(lengths)), lengths), [f"v{i}" for i in range(len(lengths))])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 12), st.integers(0, 8))
def test_all_candidates_in_their_order(lengths, most, fewest):
    segments = videos(*lengths).segments(most, min(fewest, most))
    assert [row for s in segments for row in range(s.start, s.stop)] == list(range(sum(lengths)))
    assert all(len(s) <= most for s in segments)
    of = videos(*lengths)
    for s in segments:
        assert s.videos == tuple(dict.fromkeys(of.names[n] for n in of.number[s.start : s.stop]))


def test_a_long_video_has_segments_of_its_own():
    found = videos(2500, 600, 10).segments()
    assert [(len(s), s.videos) for s in found] == [
        (1024, ("v0",)),
        (1024, ("v0",)),
        (452, ("v0",)),
        (600, ("v1",)),
        (10, ("v2",)),
    ]


def test_single_pictures_share_segments():
    """A data set of single pictures has as many videos as frames."""
    found = videos(*[1] * 1000).segments()
    assert [len(s) for s in found] == [FEWEST, FEWEST, FEWEST, 1000 - 3 * FEWEST]


def test_batches_are_whole():
    assert MOST % 32 == FEWEST % 32 == 0


def test_taken_apart():
    of = videos(3, 1, 4)
    assert of.apart(Segment(1, 7, ("v0", "v1", "v2"))) == [
        Segment(1, 3, ("v0",)),
        Segment(3, 4, ("v1",)),
        Segment(4, 7, ("v2",)),
    ]


def test_names_itself():
    assert str(Segment(10, 30, ("a", "b", "c", "d"))) == "a, b, c, … (candidates 10 to 29)"
