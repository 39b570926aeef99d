import logging

import numpy as np
import pytest

from mtal.frames import reader as reader_module
from mtal.frames.decord_reader import DecordReader
from mtal.frames.guarded import GuardedReader
from mtal.frames.image_folder import ImageFolder
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.reader import open_reader

TRUSTED = ["groups", "no_b_frames", "one_keyframe_in_order", "matroska", "thirty_hz_matroska", "fragmented"]
DISTRUSTED = [
    "one_keyframe",
    "gaps",
    "one_keyframe_gaps_negative",
    "negative_start",
    "negative_transport",
    "transport",
    "first_packet_lost",
    "open_groups",
    "intra_refresh",
    "hevc",
    "mpeg4",
    "mpeg4_avi",
    "vp9",
    "cut_transport",
]
DAMAGED_INSIDE = ["fillers_at_the_end", "fillers_inside", "half_packets"]
CHANNEL_ROUNDING = 3  # gray levels between two conversions from YUV; neighbouring frames differ by 37


def assert_frames(reader, expected: np.ndarray, asked: list[int]) -> None:
    frames = reader.read(asked)
    assert frames.dtype == np.uint8
    assert frames.shape == (len(asked), *expected.shape[1:])
    np.testing.assert_allclose(frames.astype(int), expected[np.array(asked, dtype=int)], atol=CHANNEL_ROUNDING)


@pytest.fixture
def in_this_process(monkeypatch):
    """Readers are opened here, not in a process of their own."""
    monkeypatch.setattr(reader_module, "GuardedReader", lambda path, make, limit_s: make())


class TestEveryFrameIsTheOneAsked:
    @pytest.mark.parametrize("backend", ["auto", "pyav"])
    @pytest.mark.parametrize("name", [*TRUSTED, *DISTRUSTED, "cut_matroska"])
    def test_shuffled(self, clip, sequential, name, backend):
        expected, times = sequential(name)
        rng = np.random.default_rng(0)
        with open_reader(clip(name), backend) as reader:
            assert len(reader) == len(expected)
            np.testing.assert_array_equal(reader.frames, np.arange(len(expected)))
            np.testing.assert_allclose(reader.times_s, times - times[0], atol=1e-6)
            assert reader.frame_size == expected.shape[1:3]
            assert_frames(reader, expected, rng.permutation(len(expected)).tolist())
            for _ in range(8):
                assert_frames(reader, expected, rng.integers(len(expected), size=5).tolist())

    @pytest.mark.parametrize("backend", ["decord", "pyav"])
    def test_single_seeks_and_repeats(self, clip, sequential, backend):
        expected, _ = sequential("groups")
        with open_reader(clip("groups"), backend) as reader:
            for k in (59, 0, 31, 31, 30, 58, 1):
                assert_frames(reader, expected, [k])
            assert_frames(reader, expected, [7, 7, 3, 7])
            assert_frames(reader, expected, [])

    @pytest.mark.parametrize("backend", ["decord", "pyav"])
    def test_a_closed_reader_opens_again(self, clip, sequential, backend):
        expected, _ = sequential("groups")
        reader = open_reader(clip("groups"), backend)
        reader.close()
        assert_frames(reader, expected, [12, 3])
        reader.close()


class TestBackend:
    @pytest.mark.parametrize("name", TRUSTED)
    def test_decord_where_it_is_right(self, clip, name, in_this_process):
        with open_reader(clip(name), "auto") as reader:
            assert isinstance(reader, DecordReader)

    @pytest.mark.parametrize("name", DISTRUSTED)
    def test_pyav_elsewhere(self, clip, name, in_this_process):
        with open_reader(clip(name), "auto") as reader:
            assert isinstance(reader, PyAVReader)

    def test_pyav_unless_told_otherwise(self, clip, in_this_process):
        with open_reader(clip("groups")) as reader:
            assert isinstance(reader, PyAVReader)

    def test_videos_are_decoded_in_another_process(self, clip):
        for backend in ("pyav", "decord", "auto"):
            with open_reader(clip("groups"), backend) as reader:
                assert isinstance(reader, GuardedReader)

    @pytest.mark.parametrize("name", [*DISTRUSTED, *DAMAGED_INSIDE, "flipped"])
    def test_decord_alone_is_refused_there(self, clip, name):
        with pytest.raises(ValueError, match=rf"{name}\.\w+: decord may return wrong frames: .*use frames\.backend"):
            open_reader(clip(name), "decord")

    def test_the_fallback_is_logged_once_per_file(self, clip, caplog, monkeypatch):
        monkeypatch.setattr(reader_module, "_told", set())
        with caplog.at_level(logging.WARNING, logger="mtal"):
            for _ in range(3):
                open_reader(clip("gaps"), "auto").close()
            open_reader(clip("groups"), "auto").close()
        (message,) = caplog.messages
        assert "gaps.mp4: decord may return wrong frames: the timestamps have gaps; reading it with PyAV" in message

    def test_a_hanging_decord_is_replaced(self, clip, sequential, monkeypatch, caplog):
        def hang(path, make, limit_s):
            if make.func is DecordReader:
                raise TimeoutError(f"{path}: opening it got stuck; re-encode the file")
            return make()

        monkeypatch.setattr(reader_module, "GuardedReader", hang)
        monkeypatch.setattr(reader_module, "_told", set())
        with caplog.at_level(logging.WARNING, logger="mtal"), open_reader(clip("groups"), "auto") as reader:
            assert_frames(reader, sequential("groups")[0], [3, 0])
        assert "opening it got stuck; reading it with PyAV" in caplog.text
        with pytest.raises(TimeoutError, match=r"groups\.mp4: opening it got stuck"):
            open_reader(clip("groups"), "decord")

    def test_pyav_where_decord_is_not_installed(self, clip, sequential, monkeypatch, in_this_process):
        monkeypatch.setattr("mtal.frames.decord_reader.decord", None)
        with open_reader(clip("groups"), "auto") as reader:
            assert isinstance(reader, PyAVReader)
            assert_frames(reader, sequential("groups")[0], [3, 0])
        with pytest.raises(ValueError, match="decord is not installed"):
            open_reader(clip("groups"), backend="decord")

    def test_unknown_backend(self, clip):
        with pytest.raises(ValueError, match="unknown backend 'opencv'"):
            open_reader(clip("groups"), "opencv")

    def test_folder(self, tmp_path):
        from PIL import Image

        Image.new("RGB", (4, 3), (9, 8, 7)).save(tmp_path / "5.png")
        with open_reader(f"{tmp_path}#first=1&rate=2") as reader:
            assert isinstance(reader, ImageFolder)
            assert reader.frames.tolist() == [4]
            assert reader.times_s.tolist() == [2.0]
            assert reader.read([4])[0, 0, 0].tolist() == [9, 8, 7]


class TestDamage:
    @pytest.mark.parametrize("name", DAMAGED_INSIDE)
    def test_frames_are_right_or_refused(self, clip, sequential, name):
        expected, _ = sequential(name)
        right, refused = 0, []
        with open_reader(clip(name)) as reader:
            for k in np.random.default_rng(1).permutation(60).tolist():
                try:
                    assert_frames(reader, expected, [k])
                    right += 1
                except ValueError as error:
                    refused.append((k, str(error)))
        assert right + len(refused) == 60
        assert right >= 20
        assert len(refused) >= 60 - len(expected)
        assert all(f"{name}.mp4" in message and f"frame {k} " in message for k, message in refused)

    @pytest.mark.parametrize("backend", ["auto", "pyav"])
    @pytest.mark.parametrize(("name", "promised"), [("cut", 60), ("over_reported", 62)])
    def test_fewer_frames_than_promised(self, clip, sequential, name, promised, backend):
        expected, _ = sequential(name)
        message = (
            rf"{name}\.\w+: the container promises {promised} frames, {len(expected)} decode; .*data\.on_truncated=keep"
        )
        with pytest.raises(ValueError, match=message):
            open_reader(clip(name), backend)
        with open_reader(clip(name), backend, on_truncated="keep") as reader:
            assert len(reader) == len(expected)
            assert_frames(reader, expected, np.random.default_rng(0).permutation(len(expected)).tolist())

    @pytest.mark.parametrize("backend", ["auto", "decord", "pyav"])
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("cut_before_the_index", r"cut_before_the_index\.mp4: not a video, or one without its index"),
            ("empty", r"empty\.mp4: the file is empty"),
            ("text", r"text\.mp4: not a video"),
            ("audio", r"audio\.mp4: the file has no video stream"),
        ],
    )
    def test_no_video(self, clip, name, message, backend):
        with pytest.raises(ValueError, match=message):
            open_reader(clip(name), backend)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"gone\.mp4: no such video file"):
            open_reader(tmp_path / "gone.mp4")

    @pytest.mark.parametrize("backend", ["decord", "pyav"])
    @pytest.mark.parametrize("frame", [60, -1])
    def test_no_such_frame(self, clip, backend, frame):
        with (
            open_reader(clip("groups"), backend) as reader,
            pytest.raises(IndexError, match=rf"groups\.mp4: there is no frame {frame}; frames run from 0 to 59"),
        ):
            reader.read([3, frame])
