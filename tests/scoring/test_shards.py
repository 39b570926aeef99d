import errno
import os

import numpy as np
import pytest

from mtal.scoring.segments import Segment
from mtal.scoring.shards import Columns, Shards

FIRST, SECOND = Segment(0, 3, ("a",)), Segment(3, 5, ("b",))
GENERATOR = np.random.default_rng(0)
ROWS = {
    "shared": GENERATOR.random((5, 4), dtype=np.float32),
    "members/tools": GENERATOR.random((5, 2, 1, 3)).astype(np.float16),
    "valid": GENERATOR.random((5, 2)) < 0.5,
    "none": np.empty((5, 0)),
}
ABOUT = {"columns": [["tools", "entropy"]]}


@pytest.fixture
def shards(tmp_path):
    made = Shards(tmp_path / "folder", "key")
    made.folder.mkdir()
    for segment in (SECOND, FIRST):
        made.write(segment, Columns({n: x[segment.start : segment.stop] for n, x in ROWS.items()}, ABOUT))
    return made


def test_rows_come_back_in_order_and_memory_mapped(shards):
    columns = shards.together([FIRST, SECOND])
    assert dict(columns.about) == ABOUT
    for name, rows in ROWS.items():
        np.testing.assert_array_equal(columns.arrays[name], rows)
        assert columns.arrays[name].dtype == rows.dtype
        assert isinstance(columns.arrays[name], np.memmap)
        assert columns.arrays[name].flags.writeable  # torch warns of others
    assert not shards.has(FIRST)


def test_again_where_all_is_together(shards):
    """As after a kill between scoring and picking."""
    first = shards.together([FIRST, SECOND]).arrays["shared"]
    first[:] = 0  # in memory alone
    np.testing.assert_array_equal(shards.together([FIRST, SECOND]).arrays["shared"], ROWS["shared"])


def test_others_of_another_key_are_not_seen(shards):
    assert shards.has(FIRST)
    assert not Shards(shards.folder, "other").has(FIRST)


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


def test_a_join_that_was_killed_is_begun_again(shards, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Shards, "_join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shards.together([FIRST, SECOND])
    assert shards.has(FIRST)
    np.testing.assert_array_equal(shards.together([FIRST, SECOND]).arrays["shared"], ROWS["shared"])
