import errno
import json
import logging
import os
import pickle
import resource
import shutil
import signal
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from miniature import cache_filler
from PIL import Image

from mtal.frames import cache as cache_module
from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray, FrameCache
from mtal.frames.guarded import GuardedReader
from mtal.frames.image_folder import folder_source

SIZE = (24, 32)


def rows(*pairs: tuple[object, int]) -> pd.DataFrame:
    return pd.DataFrame({"source": [str(s) for s, _ in pairs], "frame": [k for _, k in pairs]})


@pytest.fixture
def folder(tmp_path):
    """Frames 0, 1, 2 of 48x64, each of one gray: 0, 50, 100."""
    (tmp_path / "seq").mkdir()
    for k in range(3):
        Image.new("RGB", (64, 48), (50 * k,) * 3).save(tmp_path / "seq" / f"{k}.png")
    return tmp_path / "seq"


@pytest.fixture
def decoded(monkeypatch):
    """Sources that were opened, in order."""
    opened = []
    original = cache_module.open_reader
    monkeypatch.setattr(
        cache_module, "open_reader", lambda source, **options: opened.append(source) or original(source, **options)
    )
    return opened


class TestBackend:
    def test_decord_reads_the_same_pixels_where_it_is_proven_right(self, tmp_path, clip, monkeypatch):
        wanted = rows((clip("groups"), 31), (clip("groups"), 4))
        used = []
        original = cache_module.open_reader

        def told(source, **options):
            used.append(options["backend"])
            return original(source, **options)

        monkeypatch.setattr(cache_module, "open_reader", told)
        by = {
            backend: FrameCache(tmp_path / backend, backend=backend).get(wanted, (48, 64), progress=False)
            for backend in ("pyav", "auto")
        }
        assert used == ["pyav", "auto"]
        assert by["pyav"].key == by["auto"].key  # one takes what the other has decoded
        np.testing.assert_array_equal(by["pyav"][:], by["auto"][:])

    def test_unknown(self, tmp_path):
        with pytest.raises(ValueError, match=r"unknown backend 'opencv'; frames\.backend is auto, decord, pyav"):
            FrameCache(tmp_path, backend="opencv")


class TestFrames:
    def test_order_of_the_rows_across_sources(self, tmp_path, clip, sequential, folder):
        video = clip("groups")
        frames = FrameCache(tmp_path / "cache").get(
            rows((video, 31), (folder, 2), (video, 4), (folder, 0), (video, 31)), (48, 64), progress=False
        )
        assert frames.shape == (5, 48, 64, 3)
        assert len(frames) == 5
        expected, _ = sequential("groups")
        got = frames[np.array([4, 1, 2, 3, 0, 0])]
        assert got.dtype == np.uint8
        assert got.shape == (6, 48, 64, 3)
        np.testing.assert_allclose(got[[0, 4, 5]].astype(int), expected[[31, 31, 31]], atol=3)
        np.testing.assert_allclose(got[2].astype(int), expected[4], atol=3)
        assert (got[1] == 100).all()
        assert (got[3] == 0).all()

    def test_slices_and_no_positions(self, tmp_path, folder):
        frames = FrameCache(tmp_path / "cache").get(rows((folder, 0), (folder, 1), (folder, 2)), SIZE)
        assert frames[1:].mean(axis=(1, 2, 3)).tolist() == [50, 100]
        assert frames[np.array([], dtype=np.int64)].shape == (0, *SIZE, 3)
        with pytest.raises(IndexError):
            frames[[3]]

    def test_no_rows(self, tmp_path):
        assert FrameCache(tmp_path / "cache").get(rows(), SIZE).shape == (0, *SIZE, 3)

    def test_more_than_one_chunk(self, tmp_path, clip, sequential):
        order = np.random.default_rng(0).permutation(60)
        frames = FrameCache(tmp_path / "cache").get(rows(*((clip("groups"), int(k)) for k in order)), (48, 64))
        np.testing.assert_allclose(frames[np.arange(60)].astype(int), sequential("groups")[0][order], atol=3)

    def test_resizing_averages(self, tmp_path):
        # stripes of one pixel, 0 and 200: picking pixels would give 0 or 200, averaging gives 100
        (tmp_path / "s").mkdir()
        stripes = np.tile(np.array([0, 200], dtype=np.uint8), (64, 32))
        Image.fromarray(stripes).save(tmp_path / "s" / "0.png")
        frame = FrameCache(tmp_path / "cache").get(rows((tmp_path / "s", 0)), (8, 8))[[0]]
        np.testing.assert_allclose(frame[:, :, 1:-1], 100, atol=1)

    def test_resizing_to_height_and_width(self, tmp_path):
        # the left half is white: at 10 rows x 4 columns the first column is white and the last one black
        (tmp_path / "s").mkdir()
        half = np.zeros((40, 40), dtype=np.uint8)
        half[:, :20] = 255
        Image.fromarray(half).save(tmp_path / "s" / "0.png")
        frame = FrameCache(tmp_path / "cache").get(rows((tmp_path / "s", 0)), (10, 4))[[0]][0]
        assert frame.shape == (10, 4, 3)
        assert (frame[:, 0] == 255).all()
        assert (frame[:, -1] == 0).all()

    def test_images_of_several_sizes_some_on_their_side(self, tmp_path, folder):
        Image.new("RGB", (10, 30), (7, 7, 7)).save(folder / "1.png")
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned to the right: the left half on top
        halves = np.repeat(np.array([[200, 0]], dtype=np.uint8), 8, axis=1)  # [1, 16]
        Image.fromarray(np.repeat(halves, 8, axis=0)).convert("RGB").save(folder / "2.png", exif=exif)
        frames = FrameCache(tmp_path / "cache").get(rows(*((folder, k) for k in range(3))), SIZE, progress=False)
        assert frames[[0, 1]].mean(axis=(1, 2, 3)).tolist() == [0, 7]
        assert frames[[2]][0, [1, -2], 5, 0].tolist() == [200, 0]

    def test_large_ones_are_decoded_few_at_a_time(self, tmp_path, folder, monkeypatch):
        asked = []
        original = cache_module.read_pictures
        monkeypatch.setattr(
            cache_module, "read_pictures", lambda reader, frames: asked.append(frames) or original(reader, frames)
        )
        monkeypatch.setattr(cache_module, "_CHUNK_BYTES", 2 * 3 * 48 * 64)
        frames = FrameCache(tmp_path / "cache").get(rows(*((folder, k) for k in range(3))), SIZE, progress=False)
        assert asked == [[0, 1], [2]]
        assert frames[:].mean(axis=(1, 2, 3)).tolist() == [0, 50, 100]

    def test_names_are_not_copied_for_each_frame(self, tmp_path, monkeypatch):
        monkeypatch.setattr(FrameCache, "_decode", lambda *given: None)
        source = f"{tmp_path}/{'long' * 50}.mp4"
        many = pd.DataFrame({"source": pd.Categorical([source] * 10_000), "frame": range(10_000)})
        tracemalloc.start()
        try:
            FrameCache(tmp_path / "cache").get(many, SIZE, progress=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 10_000 * len(source)  # a fixed-width copy takes four bytes a letter

    def test_folders_that_count_from_one(self, tmp_path, folder):
        (folder / "0.png").unlink()
        frames = FrameCache(tmp_path / "cache").get(rows((folder_source(folder, first_number=1), 0)), SIZE)
        assert (frames[[0]] == 50).all()


class TestReuse:
    def test_decoded_once(self, tmp_path, folder, decoded):
        FrameCache(tmp_path / "cache").get(rows((folder, 1), (folder, 2)), SIZE)
        frames = FrameCache(tmp_path / "cache").get(rows((folder, 2), (folder, 1), (folder, 2)), SIZE)
        assert frames[:].mean(axis=(1, 2, 3)).tolist() == [100, 50, 100]
        assert decoded == [str(folder)]

    def test_other_frames_or_size_are_decoded(self, tmp_path, folder, decoded):
        cache = FrameCache(tmp_path / "cache")
        cache.get(rows((folder, 1)), SIZE)
        assert cache.get(rows((folder, 1)), (12, 16)).shape == (1, 12, 16, 3)
        assert (cache.get(rows((folder, 2)), SIZE)[[0]] == 100).all()
        assert len(decoded) == 3

    def test_a_changed_source_is_decoded_anew(self, tmp_path, folder):
        cache = FrameCache(tmp_path / "cache")
        cache.get(rows((folder, 1)), SIZE)
        Image.new("RGB", (64, 48), (7, 7, 7)).save(folder / "1.png")
        os.utime(folder / "1.png", ns=(1, 1))
        assert (cache.get(rows((folder, 1)), SIZE)[[0]] == 7).all()

    def test_another_decoder_does_not_read_its_pixels(self, tmp_path, folder, decoded, monkeypatch):
        FrameCache(tmp_path / "cache").get(rows((folder, 1)), SIZE)
        monkeypatch.setattr(cache_module, "versions", lambda: {"av": "16.0.1"})
        FrameCache(tmp_path / "cache").get(rows((folder, 1)), SIZE)
        assert len(decoded) == 2

    @pytest.mark.parametrize("damage", ["cut", "longer", "lost blocks", "shape", "type", "text", "empty"])
    def test_a_damaged_file_is_made_again(self, tmp_path, folder, decoded, damage, caplog):
        cache = FrameCache(tmp_path / "cache")
        cache.get(rows((folder, 1), (folder, 2)), SIZE)
        (path,) = (tmp_path / "cache").glob("*.npy")
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "longer":
            path.write_bytes(path.read_bytes() + b"x")
        elif damage == "lost blocks":  # the right size, the last frame not on disk
            path.write_bytes(path.read_bytes()[: -(8 + 24 * 32 * 3)] + bytes(24 * 32 * 3) + path.read_bytes()[-8:])
        elif damage == "shape":
            np.save(path, np.zeros((1, *SIZE, 3), dtype=np.uint8))
        elif damage == "type":
            np.save(path, np.zeros((2, *SIZE, 3), dtype=np.float32))
        else:
            path.write_bytes(b"not an array" if damage == "text" else b"")
        with caplog.at_level(logging.WARNING, logger="mtal"):
            frames = cache.get(rows((folder, 1), (folder, 2)), SIZE)
        assert frames[:].mean(axis=(1, 2, 3)).tolist() == [50, 100]
        assert len(decoded) == 2
        assert f"the cached frames of {folder} are damaged" in caplog.text

    def test_nothing_is_left_of_a_failed_decode(self, tmp_path, clip):
        cache = FrameCache(tmp_path / "cache")
        with pytest.raises(ValueError, match=r"fillers_at_the_end\.mp4: frame 5\d does not decode"):
            cache.get(rows(*((clip("fillers_at_the_end"), k) for k in range(60))), SIZE)
        assert list((tmp_path / "cache").glob("*.npy")) == []


class TestBound:
    def test_least_recently_used_frames_go(self, tmp_path, folder, decoded):
        # one frame of 24x32 takes 2.3 kB and a header: two fit into 5 kB, three do not
        def get(frame):
            return FrameCache(tmp_path / "frames", BoundedFolder(tmp_path, 5000)).get(rows((folder, frame)), SIZE)

        for frame in (0, 1, 0, 2):  # frame 1 is what was used least recently when room for frame 2 is made
            get(frame)
        assert len(list((tmp_path / "frames").glob("*.npy"))) == 2
        get(0)
        get(2)
        assert len(decoded) == 3
        get(1)
        assert len(decoded) == 4

    def test_frames_in_use_stay_past_the_limit(self, tmp_path, folder, caplog):
        bound = BoundedFolder(tmp_path, 3000)
        arrays = [FrameCache(tmp_path / "frames", bound).get(rows((folder, k)), SIZE) for k in range(3)]
        assert [a[[0]].mean() for a in arrays] == [0, 50, 100]
        assert len(list((tmp_path / "frames").glob("*.npy"))) == 3
        assert "what is in use" in caplog.text

    def test_an_array_protects_its_frames(self, tmp_path, folder):
        kept = FrameCache(tmp_path / "frames", BoundedFolder(tmp_path)).get(rows((folder, 1)), SIZE)
        BoundedFolder(tmp_path, 0).make_room()
        assert len(list((tmp_path / "frames").glob("*.npy"))) == 1
        del kept
        BoundedFolder(tmp_path, 0).make_room()
        assert len(list((tmp_path / "frames").glob("*.npy"))) == 0


class TestPickling:
    """What a trainer of several devices does with the frames."""

    @pytest.mark.parametrize("bounded", [True, False])
    def test_the_copy_reads_the_same_files(self, tmp_path, folder, bounded):
        bound = BoundedFolder(tmp_path) if bounded else None
        frames = FrameCache(tmp_path / "frames", bound).get(rows((folder, 2), (folder, 0), (folder, 1)), (480, 640))
        sent = pickle.dumps(frames)
        assert len(sent) < 10_000 < frames[:].nbytes
        copy = pickle.loads(sent)
        np.testing.assert_array_equal(copy[:], frames[:])
        assert (copy.shape, copy.key) == (frames.shape, frames.key)
        BoundedFolder(tmp_path, 0).make_room()  # whoever sent it protects the files, the copy does not
        assert copy._videos[0].is_whole() == bounded

    def test_of_frames_in_memory(self):
        frames = FrameArray(
            [np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3)], np.zeros(2, int), np.array([1, 0]), (1, 2)
        )
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames))[:], frames[:])


def test_more_recordings_than_files_may_be_open(tmp_path):
    """1,500 under the usual limit."""
    count, kinds = 1500, 50
    for k in range(kinds):
        (tmp_path / "in" / f"{k:04d}").mkdir(parents=True)
        Image.new("RGB", (8, 8), (k,) * 3).save(tmp_path / "in" / f"{k:04d}" / "0.png")
    for k in range(kinds, count):
        (tmp_path / "in" / f"{k:04d}").symlink_to(f"{k % kinds:04d}")
    wanted = rows(*((tmp_path / "in" / f"{k:04d}", 0) for k in range(count)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        frames = [FrameCache(tmp_path / "cache", workers=2).get(wanted, (8, 8), progress=False) for _ in range(2)]
        assert [f[:].mean(axis=(1, 2, 3)).tolist() for f in frames] == [[k % kinds for k in range(count)]] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestProcesses:
    """Real processes; a decode is two chunks."""

    @pytest.fixture
    def fill(self, tmp_path, warm):
        (tmp_path / "long").mkdir()
        for k in range(cache_filler.FRAMES):
            Image.new("RGB", (16, 16), (k,) * 3).save(tmp_path / "long" / f"{k}.png")

        def start(delay_s):
            return warm.start(cache_filler.__file__, tmp_path / "cache", tmp_path / "long", tmp_path / "log", delay_s)

        return start

    def test_one_decodes_and_the_other_waits(self, tmp_path, fill):
        together = [fill(0.5), fill(0.5)]
        printed = [json.loads(p.communicate(timeout=60)[0]) for p in together]
        assert printed == [list(range(cache_filler.FRAMES))] * 2
        lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
        assert [first for _, first in lines] == ["0", "32"]
        assert len({pid for pid, _ in lines}) == 1

    def test_a_writer_killed_half_way_blocks_nobody(self, tmp_path, fill):
        with fill(60) as writer:
            until = time.monotonic() + 60
            while not (tmp_path / "log").exists() and time.monotonic() < until:
                time.sleep(0.02)
            waiting = fill(0)
            writer.send_signal(signal.SIGKILL)
        assert [p.name for p in (tmp_path / "cache").glob(".*.npy")] != []
        printed = json.loads(waiting.communicate(timeout=60)[0])
        assert printed == list(range(cache_filler.FRAMES))
        assert list((tmp_path / "cache").glob(".*.npy")) == []  # the torn file was written over and got its name


class TestErrors:
    def test_one_bad_source_of_many(self, tmp_path, clip, folder):
        wanted = rows((folder, 0), (clip("text"), 0), (clip("groups"), 3))
        with pytest.raises(ValueError, match=r"text\.mp4: not a video"):
            FrameCache(tmp_path / "cache", workers=3).get(wanted, SIZE)
        assert list((tmp_path / "cache").glob(".*.npy")) == []

    def test_several_bad_sources(self, tmp_path, clip, folder):
        wanted = rows((folder, 0), (clip("text"), 0), (folder, 7), (clip("empty"), 0), (tmp_path / "gone", 1))
        with pytest.raises(ValueError, match="4 faults in 4 of 4 sources:") as refusal:
            FrameCache(tmp_path / "cache").get(wanted, SIZE)
        told = str(refusal.value)
        assert all(what in told for what in ("no frame 7", "not a video", "is empty", "gone: no such"))

    def test_too_little_room(self, tmp_path, folder, decoded, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**30, 2**30 - 2000, 2000))
        with pytest.raises(
            OSError, match=r"cache: decoded frames need 0\.00 GiB and 0\.00 GiB are free; free some"
        ) as e:
            FrameCache(tmp_path / "cache").get(rows((folder, 0)), SIZE)
        assert e.value.errno == errno.ENOSPC
        assert decoded == []

    def test_a_disk_that_fills_lets_go_of_the_video(self, tmp_path, clip, monkeypatch):
        def full(file, content):
            if not isinstance(content, bytes):  # the frames, behind the header
                raise OSError(errno.ENOSPC, "No space left on device")

        closed = []
        original = GuardedReader.close
        monkeypatch.setattr(GuardedReader, "close", lambda self: closed.append(self.source) or original(self))
        monkeypatch.setattr("mtal.whole_files.write_all", full)
        with pytest.raises(OSError, match="the disk is full"):
            FrameCache(tmp_path / "cache").get(rows((clip("groups"), 0)), SIZE)
        assert closed == [clip("groups")]
        assert list((tmp_path / "cache").rglob("*.npy")) == []

    def test_too_many_open_files_is_no_damage(self, tmp_path, folder, monkeypatch):
        FrameCache(tmp_path / "cache").get(rows((folder, 0)), SIZE)

        def none_left(path, *_, **__):
            raise OSError(errno.EMFILE, "Too many open files", str(path))

        monkeypatch.setattr("mtal.frames.frames_file.Path.open", none_left)
        with pytest.raises(OSError, match=r"Too many open files: '.*\.npy'"):
            FrameCache(tmp_path / "cache").get(rows((folder, 0)), SIZE)

    def test_missing_source(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
            FrameCache(tmp_path / "cache").get(rows((tmp_path / "gone.mp4", 0)), SIZE)

    def test_broken_video(self, tmp_path, clip):
        with pytest.raises(ValueError, match=r"text\.mp4: not a video"):
            FrameCache(tmp_path / "cache").get(rows((clip("text"), 0)), SIZE)

    def test_no_such_frame(self, tmp_path, folder):
        with pytest.raises(IndexError, match="seq: there is no frame 7"):
            FrameCache(tmp_path / "cache").get(rows((folder, 7)), SIZE)
