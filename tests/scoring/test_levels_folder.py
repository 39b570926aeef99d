import errno
import io
import os
from collections import namedtuple

import numpy as np
import pytest

from mtal.frames.bounded_folder import BoundedFolder
from mtal.scoring.levels_folder import write_levels

LEVELS = [np.arange(10 * 6, dtype=np.float16).reshape(10, 2, 3), np.ones((10, 5), dtype=np.float16)]
BATCHES = [[x[:4] for x in LEVELS], [x[4:] for x in LEVELS]]
BYTES = 10 * (6 + 5) * 2


def test_files_are_numpys(tmp_path):
    write_levels(BATCHES, 10, tmp_path / "made")
    assert [f.name for f in sorted((tmp_path / "made").iterdir())] == ["level00.npy", "level01.npy"]
    for i, level in enumerate(LEVELS):
        for mode in (None, "r"):
            np.testing.assert_array_equal(np.load(tmp_path / "made" / f"level{i:02d}.npy", mmap_mode=mode), level)


def test_maps_without_channels(tmp_path):
    """Encoders that begin at a stride of 4 have none at 2."""
    write_levels([[np.empty((2, 4, 4, 0), dtype=np.float16), np.ones((2, 1), dtype=np.float16)]], 2, tmp_path / "made")
    assert np.load(tmp_path / "made" / "level00.npy", mmap_mode="r")[[1, 0]].shape == (2, 4, 4, 0)


def test_channels_last_views(tmp_path):
    """What an encoder gives is seldom contiguous."""
    level = np.arange(24, dtype=np.float16).reshape(2, 3, 4).transpose(0, 2, 1)
    write_levels([[level]], 2, tmp_path / "made")
    np.testing.assert_array_equal(np.load(tmp_path / "made" / "level00.npy"), level)


def test_room_is_looked_for_first(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("mtal.scoring.levels_folder.shutil.disk_usage", lambda path: usage(0, 0, BYTES - 1))
    asked = []
    with pytest.raises(OSError, match=r"made: the encoder's features of 10 frames need .* GiB are free; free some"):
        write_levels((asked.append(len(b)) or b for b in BATCHES), 10, tmp_path / "made")
    assert len(asked) == 1
    assert not list(tmp_path.iterdir())


def test_room_is_made(tmp_path):
    asked = []

    class Bound(BoundedFolder):
        def make_room(self, needed=0):
            asked.append(needed)

    write_levels(BATCHES, 10, tmp_path / "made", Bound(tmp_path / "cache"))
    assert asked == [BYTES]


@pytest.mark.parametrize("where", ["write", "fsync"])
def test_a_disk_that_fills_meanwhile(tmp_path, monkeypatch, where):
    """Written through a memory map the process would die without a word."""

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "fsync":
        monkeypatch.setattr("mtal.whole_files.os.fsync", full)
    else:
        written = []

        class Filling(io.FileIO):
            def write(self, content):
                written.append(len(content))
                return full() if sum(written) > BYTES else super().write(content)

        monkeypatch.setattr("pathlib.Path.open", lambda self, mode, buffering: Filling(self, "w"))
    with pytest.raises(OSError, match="made: the disk is full; free some") as told:
        write_levels(BATCHES, 10, tmp_path / "made")
    assert told.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_other_errors_keep_their_name(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        write_levels(BATCHES, 10, tmp_path / "file" / "made")
