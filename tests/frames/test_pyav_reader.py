import logging
from contextlib import suppress

import av
import numpy as np
import pytest

from mtal.frames.pyav_reader import PyAVReader

H264_HEADERS = 700  # bytes after "mdat" that hold the encoder's name, whose version switches on workarounds


@pytest.fixture
def begun(monkeypatch):
    """Frames at which decoding began."""
    entries = []
    original = PyAVReader._begin
    monkeypatch.setattr(PyAVReader, "_begin", lambda self, entry: entries.append(entry) or original(self, entry))
    return entries


def plain(path) -> list[np.ndarray]:
    """The frames that come out of PyAV as it is, up to the first error."""
    frames = []
    with av.open(str(path)) as container, suppress(av.error.InvalidDataError):
        frames.extend(frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    return frames


class TestSeeking:
    @pytest.mark.parametrize("name", ["groups", "no_b_frames", "matroska", "fragmented", "gaps", "hevc_closed"])
    def test_decoding_begins_at_the_last_keyframe(self, clip, sequential, begun, name):
        expected, _ = sequential(name)
        with av.open(str(clip(name))) as container:
            keyframes = [k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame]
        assert len(keyframes) >= 5
        with PyAVReader(clip(name)) as reader:
            for k in (59, 11, 35, 2):
                np.testing.assert_array_equal(reader.read([k])[0], expected[k])
        assert begun == [max(e for e in keyframes if e <= k) for k in (59, 11, 35, 2)]

    @pytest.mark.parametrize("name", ["one_keyframe", "open_groups", "intra_refresh", "hevc", "vp9", "cut_transport"])
    def test_at_the_start_where_keyframes_prove_nothing(self, clip, sequential, begun, name):
        expected, _ = sequential(name)
        with PyAVReader(clip(name)) as reader:
            for k in (30, 28):
                np.testing.assert_array_equal(reader.read([k])[0], expected[k])
        assert set(begun) == {0}

    def test_near_frames_are_decoded_on_the_way(self, clip, begun):
        with PyAVReader(clip("groups")) as reader:
            for k in (0, 11, 12, 25):
                reader.read([k])
        assert begun == [0]

    def test_a_seek_that_lands_elsewhere_starts_again(self, clip, sequential, begun, monkeypatch):
        with PyAVReader(clip("groups")) as reader:
            reader._entries = [0, 31]  # no keyframe: the container goes to the one before, 24
            np.testing.assert_array_equal(reader.read([40])[0], sequential("groups")[0][40])
        assert begun == [31, 0]


class TestDamage:
    @pytest.mark.parametrize("name", ["groups", "hevc_closed", "mpeg4"])
    def test_changed_bytes(self, clip, tmp_path, name):
        """Any byte of the pictures changed: every frame is that of a plain decode, or refused by name and number."""
        data = clip(name).read_bytes()
        begin, end = data.index(b"mdat") + 4 + H264_HEADERS, data.index(b"moov") - 4
        rng = np.random.default_rng(0)
        right, refused = 0, []
        for at in np.sort(rng.integers(begin, end, size=12)).tolist():
            changed = bytearray(data)
            changed[at] ^= int(rng.integers(1, 256))
            path = tmp_path / "changed.mp4"
            path.write_bytes(changed)
            expected = plain(path)
            with PyAVReader(path, on_truncated="keep") as reader:
                for k in rng.permutation(len(reader))[:20].tolist():
                    try:
                        picture = reader.read([k])[0]
                    except ValueError as error:
                        refused.append((k, str(error)))
                    else:
                        right += 1
                        np.testing.assert_array_equal(picture, expected[k])
        assert right > 100
        assert all("changed.mp4: " in message and f"frame {k} " in message for k, message in refused)

    def test_the_first_damaged_frame_is_named_once(self, clip, sequential, caplog):
        expected, _ = sequential("flipped")
        with PyAVReader(clip("flipped")) as reader, caplog.at_level(logging.WARNING, logger="mtal"):
            for k in (50, 3):
                np.testing.assert_array_equal(reader.read([k])[0], expected[k])
            assert not caplog.messages  # decoding went around the damage
            for k in (36, 40, 31, 50):
                np.testing.assert_array_equal(reader.read([k])[0], expected[k])
        (message,) = caplog.messages
        with av.open(str(clip("flipped"))) as container:
            first = next(k for k, frame in enumerate(container.decode(video=0)) if frame.is_corrupt)
        assert f"flipped.mp4: frame {first} is damaged" in message
