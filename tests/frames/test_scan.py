import io
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.frames.hygiene import Hygiene
from mtal.frames.keyframe_sampler import KeyframeSampler
from mtal.frames.sampler import UniformSampler
from mtal.frames.scan import StoredScan, scan

ALL = Hygiene(None, None, None, None, None)
DUPLICATES = Hygiene(None, None, None, None, 256)  # all but the first are near-duplicates


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
        pd.testing.assert_frame_equal(again.frames(), expected, check_dtype=False)

    @pytest.mark.parametrize("change", ["sampler", "hygiene", "content"])
    def test_another_scan_is_not_taken_for_it(self, video, tmp_path, change):
        StoredScan(tmp_path, video, UniformSampler(5), ALL).run()
        sampler = UniformSampler(6) if change == "sampler" else UniformSampler(5)
        hygiene = DUPLICATES if change == "hygiene" else ALL
        if change == "content":
            os.utime(video, ns=(1, 1))
        assert not StoredScan(tmp_path, video, sampler, hygiene).done

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
