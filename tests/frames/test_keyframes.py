import av
import numpy as np
import pytest

from mtal.frames import keyframes as keyframes_module
from mtal.frames.keyframes import keyframes, read_keyframes


@pytest.mark.parametrize("name", ["groups", "matroska", "gaps", "hevc", "open_groups", "transport", "vp9", "mpeg4"])
def test_positions_are_those_that_a_decode_marks(clip, name):
    with av.open(str(clip(name))) as container:
        expected = [k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert len(expected) > 1
    assert keyframes(clip(name)).tolist() == expected


class TestRead:
    @pytest.mark.parametrize("name", ["groups", "matroska", "gaps", "hevc_closed"])
    def test_equal_to_the_sequential_frames_without_decoding_them(self, clip, sequential, decoded, name):
        expected, _ = sequential(name)
        frames = keyframes(clip(name))
        order = np.random.default_rng(0).permutation(np.tile(frames, 2))
        np.testing.assert_array_equal(read_keyframes(clip(name), order), expected[order])
        assert not decoded

    @pytest.mark.parametrize(
        "name",
        ["open_groups", "intra_refresh", "hevc", "negative_start", "vp9", "mpeg4_avi", "transport", "cut_transport"],
    )
    def test_decoded_in_sequence_where_keyframes_prove_nothing(self, clip, sequential, decoded, name):
        expected, _ = sequential(name)
        frames = keyframes(clip(name))[::-1]
        np.testing.assert_array_equal(read_keyframes(clip(name), frames), expected[frames])
        assert decoded

    def test_other_frames_are_decoded_in_sequence(self, clip, sequential):
        np.testing.assert_array_equal(read_keyframes(clip("groups"), [24, 7]), sequential("groups")[0][[24, 7]])

    def test_none(self, clip):
        assert read_keyframes(clip("groups"), []).shape == (0, 48, 64, 3)

    def test_no_such_frame(self, clip):
        with pytest.raises(IndexError, match=r"groups\.mp4: there is no frame 60"):
            read_keyframes(clip("groups"), [0, 60])

    def test_truncated(self, clip):
        for ask in (keyframes, lambda source: read_keyframes(source, [0])):
            with pytest.raises(ValueError, match=r"cut\.mp4: the container promises 60 frames"):
                ask(clip("cut"))

    def test_a_keyframe_that_does_not_come_out_is_decoded_in_sequence(self, clip, sequential, monkeypatch):
        monkeypatch.setattr(keyframes_module, "_decode", lambda found, wanted: {})
        np.testing.assert_array_equal(read_keyframes(clip("groups"), [12]), sequential("groups")[0][[12]])
