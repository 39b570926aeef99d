import av
import numpy as np
import pytest

from mtal.frames import keyframes as keyframes_module
from mtal.frames.keyframes import marked, stream_keyframes
from mtal.frames.pyav_reader import PyAVReader


@pytest.mark.parametrize("name", ["groups", "matroska", "gaps", "hevc", "open_groups", "transport", "vp9", "mpeg4"])
def test_positions_are_those_that_a_decode_marks(clip, name):
    with av.open(str(clip(name))) as container:
        expected = [k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert len(expected) > 1
    with PyAVReader(clip(name)) as reader:
        assert marked(reader).tolist() == expected


class TestStream:
    @pytest.mark.parametrize("name", ["groups", "matroska", "gaps", "hevc_closed"])
    @pytest.mark.parametrize("every", [1, 2])
    def test_equal_to_the_sequential_frames_without_decoding_them(self, clip, sequential, decoded, name, every):
        expected, _ = sequential(name)
        with PyAVReader(clip(name)) as reader:
            frames = marked(reader)[::every]
            np.testing.assert_array_equal(list(stream_keyframes(reader, frames)), expected[frames])
        assert not decoded

    @pytest.mark.parametrize(
        "name",
        ["open_groups", "intra_refresh", "hevc", "negative_start", "vp9", "mpeg4_avi", "transport", "cut_transport"],
    )
    def test_decoded_in_sequence_where_keyframes_prove_nothing(self, clip, sequential, decoded, name):
        expected, _ = sequential(name)
        with PyAVReader(clip(name)) as reader:
            frames = marked(reader)
            np.testing.assert_array_equal(list(stream_keyframes(reader, frames)), expected[frames])
        assert decoded

    def test_other_frames_are_decoded_in_sequence(self, clip, sequential):
        with PyAVReader(clip("groups")) as reader:
            pictures = list(stream_keyframes(reader, np.array([7, 24, 29])))
        np.testing.assert_array_equal(pictures, sequential("groups")[0][[7, 24, 29]])

    def test_none(self, clip):
        with PyAVReader(clip("groups")) as reader:
            assert list(stream_keyframes(reader, np.array([], dtype=np.int64))) == []

    def test_no_such_frame(self, clip):
        with (
            PyAVReader(clip("groups")) as reader,
            pytest.raises(IndexError, match=r"groups\.mp4: there is no frame 60"),
        ):
            list(stream_keyframes(reader, np.array([0, 60])))

    @pytest.mark.parametrize("come_out", [0, 2])
    def test_a_keyframe_that_does_not_come_out_is_decoded_in_sequence(self, clip, sequential, monkeypatch, come_out):
        plain = keyframes_module._decode

        def faulty(found, wanted):
            for number, decoded in enumerate(plain(found, wanted)):
                if number == come_out:
                    raise av.error.InvalidDataError(1, "a fault of the file")
                yield decoded

        monkeypatch.setattr(keyframes_module, "_decode", faulty)
        with PyAVReader(clip("groups")) as reader:
            frames = marked(reader)
            np.testing.assert_array_equal(list(stream_keyframes(reader, frames)), sequential("groups")[0][frames])

    def test_a_keyframe_that_is_passed_over_is_decoded_in_sequence(self, clip, sequential, monkeypatch):
        plain = keyframes_module._decode

        def without_the_second(found, wanted):
            yield from (decoded for number, decoded in enumerate(plain(found, wanted)) if number != 1)

        monkeypatch.setattr(keyframes_module, "_decode", without_the_second)
        with PyAVReader(clip("groups")) as reader:
            frames = marked(reader)
            np.testing.assert_array_equal(list(stream_keyframes(reader, frames)), sequential("groups")[0][frames])
