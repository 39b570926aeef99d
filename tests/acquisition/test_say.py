import pytest

from mtal.acquisition import SHARED, Say


def test_fixed_times_adaptive_and_nothing_for_a_head_without_labels():
    say = Say(head_weights={"tools": 2.0, "phase": 5.0})
    with pytest.warns(UserWarning, match="phase: no label so far"):
        assert say(["tools", "phase", SHARED], {"tools": 0.25}, ["phase"]) == {"tools": 0.5, "phase": 0.0, SHARED: 1.0}


def test_unknown_heads_are_refused():
    with pytest.raises(ValueError, match="head_weights names 'tool', which is not one of tools"):
        Say(head_weights={"tool": 2.0})(["tools"])
    with pytest.raises(ValueError, match="inactive_tasks names 'tool', which is not one of tools"):
        Say()(["tools"], inactive_tasks=["tool"])
