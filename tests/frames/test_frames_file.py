import errno
import os
import resource
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from mtal.frames.frames_file import FramesFile

SHAPE = (5, 2, 3, 3)
FRAMES = np.arange(90, dtype=np.uint8).reshape(SHAPE)


@pytest.fixture
def file(tmp_path):
    return FramesFile(tmp_path / "a.npy", SHAPE)


def read(file, places):
    frames = np.empty((len(places), *file.shape[1:]), dtype=np.uint8)
    file.read(places, frames)
    return frames


def test_frames_come_back(file):
    assert not file.is_whole()
    file.write([FRAMES[:2], FRAMES[2:]])
    assert file.is_whole()
    assert file.path.stat().st_size == file.size_bytes
    np.testing.assert_array_equal(read(file, [4, 0, 4, 2]), FRAMES[[4, 0, 4, 2]])
    np.testing.assert_array_equal(np.load(file.path), FRAMES)  # other programs read it too


def test_a_file_of_another_shape_is_not_whole(file):
    file.write([FRAMES])
    assert not FramesFile(file.path, (5, 3, 2, 3)).is_whole()


def test_a_file_cut_short_while_in_use(file):
    file.write([FRAMES])
    os.truncate(file.path, file.size_bytes // 2)
    with pytest.raises(OSError, match=r"a\.npy: it has been cut short; start again"):
        read(file, [4])


class TestWriting:
    def test_an_error_of_the_frames_leaves_nothing(self, file):
        def frames():
            yield FRAMES[:2]
            raise ValueError("frame 2 does not decode")

        with pytest.raises(ValueError, match="frame 2 does not decode"):
            file.write(frames())
        assert list(file.path.parent.iterdir()) == []

    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk(self, file, monkeypatch, error):
        def full(_):
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"a\.npy: the disk is full; free some of it, or set cache") as told:
            file.write([FRAMES])
        assert told.value.errno == error
        assert list(file.path.parent.iterdir()) == []

    def test_a_disk_that_fills_half_way(self, tmp_path, warm_children):
        """A real write that breaks off, in a process of its own: the limit would hold for its other files too."""
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            told = pool.submit(write_under_a_limit, tmp_path / "a.npy").result()
        assert told.startswith(f"[Errno {errno.EFBIG}] {tmp_path / 'a.npy'}: it cannot be written (File too large); ")
        assert list(tmp_path.iterdir()) == []


def write_under_a_limit(path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        FramesFile(path, (20, 64, 64, 3)).write(np.zeros((10, 2, 64, 64, 3), dtype=np.uint8))
    except OSError as error:
        return str(error)
    return "written"
