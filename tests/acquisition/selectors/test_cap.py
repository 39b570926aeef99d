import warnings

import numpy as np
import pytest

from mtal.acquisition.selectors import Cap, Constraint


def test_counts_labelled_frames_where_asked():
    cap = Cap(3, np.array([4, 4, 9, 9, 9]), already={4: 2, 9: 1, 100: 8})
    assert cap.allowed().tolist() == [True] * 5
    cap.pick(0)
    assert cap.allowed().tolist() == [False, False, True, True, True]
    cap.pick(3)
    assert cap.allowed().tolist() == [False, False, True, True, True]
    cap.pick(2)
    assert not cap.allowed().any()


def test_is_raised_by_one_and_says_so_once():
    cap = Cap(1, np.array([0, 0, 0, 1]), name="patient")
    constraint = Constraint(4, rules=[cap])
    constraint.pick(0)
    assert constraint.allowed().tolist() == [False, False, False, True]
    constraint.pick(3)
    with pytest.warns(UserWarning, match="every patient with frames left has its 1 frames, 2 remain") as caught:
        assert constraint.allowed().tolist() == [False, True, True, False]
    assert cap.limit == 2
    constraint.pick(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert constraint.allowed().tolist() == [False, False, True, False]
    assert cap.limit == 3
    assert len(caught) == 1


def test_is_raised_to_the_emptiest_group_that_has_frames_left():
    # group 0 is empty of candidates but one that is excluded; 1 stands at 5, 2 at 7
    constraint = Constraint(
        3, np.array([True, False, False]), [cap := Cap(2, np.array([0, 1, 2]), already={1: 5, 2: 7})]
    )
    with pytest.warns(UserWarning, match="raised"):
        assert constraint.allowed().tolist() == [False, True, False]
    assert cap.limit == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "cap per video must be 1 frame or more, not 0"),
        ({"groups": np.array([0.5])}, "groups must be"),
        ({"groups": np.zeros((2, 2), dtype=int)}, "groups must be"),
        ({"already": {0: -1}, "name": "patient"}, "labelled frames per patient must be 0 or more"),
    ],
)
def test_impossible_caps_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Cap(**{"limit": 1, "groups": np.array([0, 1]), **arguments})
