import errno
import pickle

import numpy as np
import pytest

from mtal.scoring.column_files import ColumnFiles, Columns
from mtal.scoring.segments import Segment

FIRST, SECOND, LAST = Segment(0, 3, ("a",)), Segment(3, 5, ("b",)), Segment(5, 6, ("b",))
GENERATOR = np.random.default_rng(0)
ROWS = {
    "shared": GENERATOR.random((6, 4), dtype=np.float32),
    "members/tools": GENERATOR.random((6, 2, 1, 3)).astype(np.float16),
    "valid": GENERATOR.random((6, 2)) < 0.5,
    "none": np.empty((6, 0)),
}
ABOUT = {"columns": [["tools", "entropy"]]}


def rows(segment):
    return Columns({n: x[segment.start : segment.stop] for n, x in ROWS.items()}, ABOUT)


@pytest.fixture
def files(tmp_path):
    made = ColumnFiles(tmp_path / "pool", 6)
    for segment in (LAST, FIRST):
        made.put(segment, rows(segment))
    return made


def again(files):
    """As another process sees them."""
    return pickle.loads(pickle.dumps(files))


def test_rows_lie_in_their_places_and_are_memory_mapped(files):
    again(files).put(SECOND, rows(SECOND))
    columns = files.read()
    assert dict(columns.about) == ABOUT
    for name, expected in ROWS.items():
        np.testing.assert_array_equal(columns.arrays[name], expected)
        assert columns.arrays[name].dtype == expected.dtype
        assert isinstance(columns.arrays[name], np.memmap)
        assert columns.arrays[name].flags.writeable  # torch warns of others
    columns.arrays["shared"][:] = 0  # in memory alone
    np.testing.assert_array_equal(files.read().arrays["shared"], ROWS["shared"])


def test_what_is_there(files):
    assert [again(files).has(s) for s in (FIRST, SECOND, LAST, Segment(0, 5, ("a", "b")))] == [True, False, True, False]
    files.put(SECOND, rows(SECOND))
    assert again(files).has(Segment(0, 6, ("a", "b")))  # in parts
    assert not again(files).has(Segment(1, 3, ("a",)))


def test_they_take_no_more_of_the_disk_than_their_rows(tmp_path):
    files = ColumnFiles(tmp_path / "pool", 10**6)
    files.put(FIRST, rows(FIRST))
    assert sum(file.stat().st_blocks for file in files.folder.iterdir()) * 512 < 2**17


@pytest.mark.parametrize(
    ("file", "lost", "kept"),
    [
        ("002.npy", slice(-96, -80), True),  # a row of FIRST
        ("notes.jsonl", slice(-9, None), True),  # FIRST's, which came later
        ("002.npy", slice(9), False),
        ("about.json", slice(None), False),
    ],
)
def test_what_was_lost_with_the_power_is_not_there(files, file, lost, kept):
    """Pages that never reached the disk are read as zeros."""
    content = bytearray((files.folder / file).read_bytes())
    content[lost] = bytes(len(content[lost]))
    (files.folder / file).write_bytes(content)
    left = again(files)
    assert [left.has(FIRST), left.has(LAST)] == [False, kept]
    for segment in (FIRST, SECOND, LAST):
        left.put(segment, rows(segment))
    assert again(files).has(Segment(0, 6, ("a", "b")))
    np.testing.assert_array_equal(left.read().arrays["shared"], ROWS["shared"])


def test_a_full_disk_is_told(files, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ColumnFiles, "_put", full)
    with pytest.raises(OSError, match=r"/pool: the disk is full; free some of it, or put the run folder elsewhere$"):
        files.put(SECOND, rows(SECOND))
    assert not files.has(SECOND)
