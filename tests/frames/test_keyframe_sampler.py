import numpy as np
import pytest
from PIL import Image

from mtal.frames.keyframe_sampler import KeyframeSampler
from mtal.frames.keyframes import marked
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.reader import open_reader


def sampled(source, rate_hz=100.0, backend="pyav"):
    with open_reader(source, backend) as reader:
        taken = list(KeyframeSampler(rate_hz).sample(reader))
    return [k for k, _ in taken], [picture for _, picture in taken]


def keyframes(source):
    with PyAVReader(source) as reader:
        return marked(reader).tolist()


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_keyframes_alone_are_decoded(clip, sequential, decoded, backend):
    expected, _ = sequential("groups")
    if backend == "decord":
        pytest.importorskip("decord")
    frames, pictures = sampled(clip("groups"), backend=backend)
    assert frames == keyframes(clip("groups"))
    assert len(frames) > 3
    np.testing.assert_array_equal(pictures, expected[frames])
    assert set(decoded) <= {0}  # decord's first frame is compared with PyAV's


@pytest.mark.parametrize("name", ["open_groups", "vp9", "mpeg4_avi", "transport"])
def test_where_keyframes_prove_nothing_the_frames_are_right_all_the_same(clip, sequential, decoded, name):
    expected, _ = sequential(name)
    frames, pictures = sampled(clip(name))
    assert frames == keyframes(clip(name))
    np.testing.assert_array_equal(pictures, expected[frames])
    assert decoded


def test_at_most_the_rate(clip):
    # of 25 frames a second, keyframes are 0, 3, 7, 18, 29, 40, 51 and 54
    assert sampled(clip("groups"))[0] == [0, 3, 7, 18, 29, 40, 51, 54]
    assert sampled(clip("groups"), rate_hz=1.0)[0] == [0, 29, 54]
    assert sampled(clip("groups"), rate_hz=2.5)[0] == [0, 18, 29, 40, 51]


def test_a_folder_of_images(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    with pytest.raises(ValueError, match="a folder of images has no keyframes; use the uniform sampler"):
        sampled(tmp_path)


def test_bad_rate():
    with pytest.raises(ValueError, match="must be a positive number"):
        KeyframeSampler(0)
