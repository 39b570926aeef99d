import numpy as np
import pytest

from mtal.annotation import Availability, State

FRAMES = ["a/000000", "a/000025", "b/000000"]
TASKS = ["tools", "bleeding", "anatomy"]


@pytest.fixture
def labels():
    states = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    return Availability(FRAMES, TASKS, states)


def test_all_can_be_asked_for_where_nothing_is_said():
    assert Availability(FRAMES, TASKS).askable(FRAMES).all()


def test_states_follow_the_order_asked(labels):
    assert labels.states(["b/000000", "a/000000"]).tolist() == [[State.NEVER] * 3, [State.ASKABLE] * 3]


def test_candidates_have_an_askable_head_that_counts(labels):
    assert labels.counted(TASKS).tolist() == [3, 1, 0]
    assert labels.counted(["anatomy", "bleeding"]).tolist() == [2, 0, 0]
    assert labels.counted([]).tolist() == [0, 0, 0]


def test_what_is_asked_is_no_longer_askable(labels):
    labels.mark(["a/000000"], State.ASKED, ["tools"])
    assert labels.askable(["a/000000"]).tolist() == [[False, True, True]]
    assert labels.askable_at(np.array([1, 0])).tolist() == [[True, False, False], [False, True, True]]
    assert labels.counted(["tools"]).tolist() == [0, 1, 0]


def test_an_answer_without_a_label_is_never_asked_for_again(labels):
    known = {"tools": np.array([True, False]), "anatomy": np.array([False, True])}
    labels.answered(["a/000025", "a/000000"], known, {task: np.array([True, True]) for task in known})
    assert labels.states(FRAMES[:2])[:, [0, 2]].tolist() == [
        [State.NEVER, State.LABELLED],
        [State.LABELLED, State.NEVER],
    ]
    assert labels.counted(TASKS).tolist() == [1, 0, 0]  # its bleeding was not asked for


def test_a_head_that_was_not_asked_for_can_still_be(labels):
    known = {"tools": np.array([True, False]), "anatomy": np.array([False, False])}
    asked = {"tools": np.array([True, True]), "anatomy": np.array([True, False])}
    labels.answered(["a/000025", "a/000000"], known, asked)
    assert labels.states(FRAMES[:2])[:, [0, 2]].tolist() == [
        [State.NEVER, State.ASKABLE],
        [State.LABELLED, State.NEVER],
    ]


def test_refuses_unknown_frames(labels):
    with pytest.raises(
        KeyError, match=r"2 of the frames asked are not in the availability of .*: 'c/000000', 'c/000001'"
    ):
        labels.states(["a/000000", "c/000000", "c/000001"])


@pytest.mark.parametrize(("frames", "tasks"), [(["a/0", "a/0"], ["tools"]), (["a/0"], ["tools", "tools"])])
def test_refuses_doubles(frames, tasks):
    with pytest.raises(ValueError, match="a frame or a head stands twice"):
        Availability(frames, tasks)


def test_refuses_states_of_other_frames():
    with pytest.raises(ValueError, match=r"states must be \[3, 3\], not \[2, 3\]"):
        Availability(FRAMES, TASKS, np.ones((2, 3)))
