import errno
import os

import numpy as np
import pytest

from mtal.scoring.column_files import Columns
from mtal.scoring.segments import Segment
from mtal.scoring.shards import Shards

FIRST, SECOND = Segment(0, 3, ("a",)), Segment(3, 5, ("b",))
ROWS = {"shared": np.random.default_rng(0).random((5, 4), dtype=np.float32), "valid": np.arange(5) < 3}
ABOUT = {"columns": [["tools", "entropy"]]}


@pytest.fixture
def shards(tmp_path):
    """Of another process."""
    made = Shards(tmp_path / "folder", "key", 5)
    made.folder.mkdir()
    for segment in (SECOND, FIRST):
        made.write(segment, Columns({n: x[segment.start : segment.stop] for n, x in ROWS.items()}, ABOUT))
    return made


def test_rows_are_taken_in(shards):
    shards.take_in(SECOND)
    assert not shards.file(SECOND).exists()
    assert shards.has(SECOND)
    columns = shards.together([FIRST, SECOND])
    assert dict(columns.about) == ABOUT
    for name, rows in ROWS.items():
        np.testing.assert_array_equal(columns.arrays[name], rows)
    assert not shards.file(FIRST).exists()


def test_new_ones_are_found_without_asking_for_each(shards, monkeypatch):
    asked = []
    monkeypatch.setattr(Shards, "has", lambda self, segment: asked.append(segment) or True)
    others = [Segment(i, i + 1, ("c",)) for i in range(5, 99)]
    assert shards.new([SECOND, *others]) == asked == [SECOND]


def test_a_shard_that_comes_late_is_of_no_account(shards):
    """Of a process that was given up for lost."""
    shards.together([FIRST, SECOND])
    shards.write(FIRST, Columns({n: np.zeros_like(x[:3]) for n, x in ROWS.items()}, ABOUT))
    np.testing.assert_array_equal(shards.together([FIRST, SECOND]).arrays["shared"], ROWS["shared"])
    assert not shards.file(FIRST).exists()


def test_others_of_another_key_are_not_seen(shards):
    other = Shards(shards.folder, "other", 5)
    assert [shards.has(FIRST), other.has(FIRST)] == [True, False]
    shards.take_in(FIRST)
    assert [shards.has(FIRST), other.has(FIRST)] == [True, False]


@pytest.mark.parametrize("left", [0, 5, 200])
def test_a_damaged_shard_is_none(shards, left):
    os.truncate(shards.file(FIRST), left)
    assert not shards.has(FIRST)
    assert not shards.file(FIRST).exists()


def test_a_full_disk_is_told_and_leaves_nothing(shards, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(shards.folder.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"000000005-000000007-key.*: the disk is full; free some of it, or put the run"):
        shards.write(Segment(5, 7, ("c",)), Columns({"shared": np.zeros((2, 4))}, {}))
    assert sorted(shards.folder.iterdir()) == before
