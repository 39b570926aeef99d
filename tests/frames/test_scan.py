import errno
import io
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.frames import heartbeat
from mtal.frames import scan as scan_module
from mtal.frames.hygiene import Hygiene
from mtal.frames.image_folder import folder_source
from mtal.frames.keyframe_sampler import KeyframeSampler
from mtal.frames.sampler import UniformSampler
from mtal.frames.scan import StoredScan, scan

ALL = Hygiene(None, None, None, None, None)
DUPLICATES = Hygiene(None, None, None, None, 256)  # all but the first are near-duplicates


@pytest.fixture
def pictures(tmp_path):
    """A folder of three."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.full((48, 64, 3), 80 * k, np.uint8)).save(folder / f"{k:04d}.png")
    return folder


def test_whoever_watches_hears_of_each_picture(pictures, monkeypatch):
    """Or a large folder of pictures would be taken for a decoder that is stuck."""
    heard = []
    monkeypatch.setattr(heartbeat, "_listeners", [heard.append])
    scan(folder_source(pictures, 0, 1.0), UniformSampler(1), ALL)
    assert set(heard) == {0, 1, 2}


def test_pictures_of_other_names_are_other_frames(pictures, tmp_path):
    source = folder_source(pictures, None, 1.0)
    stored = StoredScan(tmp_path, source, UniformSampler(1), ALL)
    stored.run()
    assert StoredScan(tmp_path, source, UniformSampler(1), ALL).done
    for picture in sorted(pictures.iterdir()):
        picture.rename(picture.with_name(f"1{picture.name}"))
    assert not StoredScan(tmp_path, source, UniformSampler(1), ALL).done


def test_kept_frames(clip):
    table = scan(clip("gaps"), UniformSampler(2), ALL)
    # at 25 frames a second with gaps of 3 after frame 20 and of 7 more after frame 40: frame k lies at k, k + 3, k + 10
    assert table["time_s"].tolist() == [(k + 3 * (k > 20) + 7 * (k > 40)) / 25 for k in table["frame"]]
    assert (
        table["frame"].tolist()
        == UniformSampler(2)(np.array([(k + 3 * (k > 20) + 7 * (k > 40)) / 25 for k in range(60)])).tolist()
    )
    assert table[["reason", "value", "threshold", "thumbnail"]].isna().all(axis=None)


def test_dropped_frames_say_why(clip, sequential):
    table = scan(clip("groups"), KeyframeSampler(100), DUPLICATES)
    assert table["frame"].tolist() == [0, 3, 7, 18, 29, 40, 51, 54]
    assert table["reason"].isna().tolist() == [True] + [False] * 7
    assert set(table["reason"][1:]) == {"near_duplicate"}
    assert (table["value"][1:] < 256).all()
    assert (table["threshold"][1:] == 256).all()
    expected, _ = sequential("groups")
    thumbnail = np.asarray(Image.open(io.BytesIO(table["thumbnail"][3])))
    assert thumbnail.shape == (48, 64, 3)  # smaller than a thumbnail: as it is
    assert np.abs(thumbnail.astype(int) - expected[18]).mean() < 12


class TestStoredScan:
    @pytest.fixture
    def video(self, clip, tmp_path):
        (tmp_path / "a.mp4").write_bytes(clip("groups").read_bytes())
        return tmp_path / "a.mp4"

    def test_reads_back(self, video, tmp_path):
        stored = StoredScan(tmp_path, video, UniformSampler(5), DUPLICATES)
        assert not stored.done
        stored.run()
        again = StoredScan(tmp_path, video, UniformSampler(5), DUPLICATES)
        assert again.done
        expected = scan(video, UniformSampler(5), DUPLICATES)
        pd.testing.assert_frame_equal(again.frames(), expected.drop(columns="thumbnail"), check_dtype=False)
        thumbnails = expected.set_index("frame")["thumbnail"].dropna()
        assert len(thumbnails) == len(expected) - 1
        assert [again.thumbnail(frame) for frame in thumbnails.index] == thumbnails.tolist()

    @pytest.mark.parametrize("change", ["sampler", "hygiene", "content", "on_truncated", "decoder"])
    def test_another_scan_is_not_taken_for_it(self, video, tmp_path, change, monkeypatch):
        StoredScan(tmp_path, video, UniformSampler(5), ALL).run()
        sampler = UniformSampler(6) if change == "sampler" else UniformSampler(5)
        hygiene = DUPLICATES if change == "hygiene" else ALL
        if change == "content":
            os.utime(video, ns=(1, 1))
        if change == "decoder":
            monkeypatch.setattr(scan_module, "versions", lambda: {"av": "16.0.1"})
        on_truncated = "keep" if change == "on_truncated" else "raise"
        assert not StoredScan(tmp_path, video, sampler, hygiene, on_truncated).done

    def test_frames_of_a_truncated_video_are_kept_if_wanted(self, clip, tmp_path):
        stored = StoredScan(tmp_path, clip("cut"), UniformSampler(25), ALL, "keep")
        stored.run()
        assert 20 < len(stored.frames()) < 60

    @pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO])
    def test_a_fault_of_the_system_is_no_fault_of_the_video(self, video, tmp_path, monkeypatch, error):
        def fail(*_, **__):
            raise OSError(error, "of the system")

        monkeypatch.setattr(scan_module, "PyAVReader", fail)
        stored = StoredScan(tmp_path, video, UniformSampler(5), ALL)
        with pytest.raises(OSError, match="of the system"):
            stored.run()
        assert not stored.done

    def test_a_full_disk(self, video, tmp_path, monkeypatch):
        def full(table, file, **_):
            file.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
        stored = StoredScan(tmp_path, video, UniformSampler(5), ALL)
        with pytest.raises(OSError, match=r"\.parquet: the disk is full; free some"):
            stored.run()
        assert not stored.done
        assert list(tmp_path.iterdir()) == [video]

    @pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
    def test_what_may_be_over_next_time_is_not_stored(self, video, tmp_path, monkeypatch, error):
        def refuse(*_, **__):
            raise error("a.mp4: not now")

        with monkeypatch.context() as patch:
            patch.setattr(scan_module, "PyAVReader", refuse)
            stored = StoredScan(tmp_path, video, UniformSampler(5), ALL)
            stored.run()
        assert stored.frames() is None
        assert stored.fault() == {"source": str(video), "reason": "a.mp4: not now", "file": ""}
        again = StoredScan(tmp_path, video, UniformSampler(5), ALL)
        assert not again.done
        again.run()
        assert len(again.frames()) > 0

    @pytest.mark.parametrize("name", ["text", "audio", "cut", "empty", "half_packets"])
    def test_a_bad_video_is_quarantined(self, clip, tmp_path, name):
        stored = StoredScan(tmp_path, clip(name), UniformSampler(25), ALL)
        stored.run()
        assert stored.done
        assert stored.frames() is None
        fault = stored.fault()
        assert fault["source"] == str(clip(name))
        assert f"{name}.mp4: " in fault["reason"]
        (tmp_path / fault["file"]).unlink()
        assert not stored.done
