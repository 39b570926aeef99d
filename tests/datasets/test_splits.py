import pytest

from mtal.datasets.splits import assign_splits


def test_all_others_are_the_pool():
    splits = assign_splits("set", ["b", "a", "c", "a"], test_videos=["b"], val_videos=["c"])
    assert splits == {"a": "pool", "b": "test", "c": "val"}


@pytest.mark.parametrize(
    ("test", "val", "message"),
    [
        (["a"], ["a"], r"set: 'a' is in data\.test_videos and in data\.val_videos"),
        (["video1"], [], r"data\.test_videos names 'video1', which is not there; there are a, b"),
        (["a"], ["bb"], r"data\.val_videos names 'bb', which is not there, did you mean 'b'\?"),
        (["a", "b"], [], "all videos are held out"),
        (
            ["x", "y"],
            ["z"],
            r"^2 faults:\n  .*test_videos names 'x', 'y', 2 videos that are not .*\n  .*names 'z', which",
        ),
    ],
)
def test_contradictions(test, val, message):
    with pytest.raises(ValueError, match=message):
        assign_splits("set", ["a", "b"], test, val)


def test_numbers_of_the_command_line_are_names():
    """``data.test_patients=[7]`` arrives as a number."""
    assert assign_splits("there", ["7", "8", "9"], [7], [8]) == {"7": "test", "8": "val", "9": "pool"}
    with pytest.raises(ValueError, match=r"data\.test_videos names '70', which is not there"):
        assign_splits("there", ["7", "8"], [70])


@pytest.mark.parametrize("given", ["p1", 12])
def test_one_name_is_no_list(given):
    """``data.test_patients=p1`` would hold out ``p`` and ``1``."""
    with pytest.raises(ValueError, match=rf"data\.test_patients is a list: write data\.test_patients=\[{given}\]"):
        assign_splits("there", ["p", "1", "p1"], given, who="patients")
