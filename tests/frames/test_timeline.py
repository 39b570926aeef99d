"""Files that recorders make and players play: every frame, and a time for each that rises."""

import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from mtal.frames.demux import demux
from mtal.frames.pyav_reader import PyAVReader

from .conftest import cut, encode, remux, shifted, without_picture

CASES = Path(__file__).parents[3] / "shared" / "cases"
IN_ORDER = {"g": "12", "bf": "0"}
PERIOD_S = 1 / 25
# an MPEG-4 picture that is not coded: type P, no whole second passed, 5 of 25 in this one (ISO/IEC 14496-2, 6.2.5)
NOT_CODED = b"\x00\x00\x01\xb6" + int("0101001011001111", 2).to_bytes(2, "big")


def emptied(path: Path, numbers: set[int]) -> Path:
    """An AVI of 60 frames, of which some chunks have no content, in the index either."""
    data = bytearray(encode(path, codec="mpeg4", options=IN_ORDER).read_bytes())
    index = data.index(b"idx1") + 8
    at = data.index(b"movi") + 4
    for number in range(60):
        name, size = struct.unpack_from("<4sI", data, at)
        assert name == b"00dc"
        if number in numbers:  # what was its content is passed over under another name
            struct.pack_into("<I4sI", data, at + 4, 0, b"JUNK", size - 8)
            struct.pack_into("<I", data, index + 16 * number + 12, 0)
        at += 8 + size + size % 2
    path.write_bytes(data)
    return path


def without_samples(path: Path, numbers: list[int]) -> Path:
    """An MP4 whose table of sizes has 0 for some samples, which follow each other."""
    one_byte = partial(without_picture, positions=set(numbers), content=b"\x00")
    data = bytearray(remux(path, change=one_byte, options=IN_ORDER).read_bytes())
    table, media = data.index(b"stsz") + 16, data.index(b"mdat")
    sizes = struct.unpack_from(">60I", data, table)
    (start,) = struct.unpack_from(">I", data, data.index(b"stco") + 12)
    for number in numbers:
        assert sizes[number] == 1
        struct.pack_into(">I", data, table + 4 * number, 0)
    struct.pack_into(">I", data, media - 4, struct.unpack_from(">I", data, media - 4)[0] - len(numbers))
    at = start + sum(sizes[: numbers[0]])
    del data[at : at + len(numbers)]
    path.write_bytes(data)
    return path


def joined(path: Path, first_s: float = 0.0, codec: str = "libx264") -> Path:
    """Two recordings of 60 frames, the clock of the first beginning at ``first_s``."""
    first = path.with_name(f"first{path.suffix}")
    if first_s:
        remux(first, change=partial(shifted, seconds=first_s), codec=codec)
    else:
        encode(first, codec=codec)
    second = encode(path.with_name(f"second{path.suffix}"), codec=codec)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def two_videos(path: Path) -> Path:
    """A transport stream of two cameras."""
    original = encode(path.with_name("original.mp4"))
    with av.open(str(original)) as inp, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(inp.streams.video[0]) for _ in range(2)]
        for packet in [p for p in inp.demux(video=0) if p.size]:
            for stream in streams:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.stream = stream
                out.mux(copy)
    return path


def every(n: int, *lost: int) -> list[float]:
    """Times of n frames at 25 a second, some of which are not there."""
    return [k * PERIOD_S for k in range(n) if k not in lost]


CLIPS: dict[str, tuple[str, Callable[[Path], Path], list[float]]] = {
    # no times of presentation, and frames are stored out of order
    "avi_h264": ("avi", encode, every(60)),
    "avi_mpeg4": ("avi", partial(encode, codec="mpeg4"), every(60)),
    "avi_mpeg2": ("avi", partial(encode, codec="mpeg2video"), every(60)),
    "asf_h264": ("asf", encode, every(60)),
    "wmv_mpeg4": ("wmv", partial(encode, codec="mpeg4"), every(60)),
    "wmv": ("wmv", partial(encode, codec="wmv2", options={"g": "12"}), every(60)),
    # no times at all
    "stream_h264": ("h264", encode, every(60)),
    "stream_h264_30_hz": ("h264", partial(encode, rate=30), [k / 30 for k in range(60)]),
    "stream_hevc": ("hevc", partial(encode, codec="libx265", options={"x265-params": "log-level=none"}), every(60)),
    # frames without content
    "empty_chunks": ("avi", partial(emptied, numbers={1, 30, 31}), every(60, 1, 30, 31)),
    "empty_chunks_at_the_ends": ("avi", partial(emptied, numbers={58, 59}), every(58)),
    "empty_chunks_by_the_muxer": (
        "avi",
        partial(encode, codec="mpeg4", options=IN_ORDER, pts=lambda k: k + 2 * (k > 20)),
        every(62, 21, 22),
    ),
    "empty_samples": ("mp4", partial(without_samples, numbers=[30, 31]), every(60, 30, 31)),
    "empty_packets": (
        "nut",
        partial(remux, change=partial(without_picture, positions={20}, content=b""), options=IN_ORDER),
        every(60, 20),
    ),
    "not_coded": (
        "avi",
        partial(
            remux,
            change=partial(without_picture, positions={30, 31}, content=NOT_CODED),
            codec="mpeg4",
            options=IN_ORDER,
        ),
        every(60, 30, 31),
    ),
    # two recordings in one file: time goes on
    "joined_ts": ("ts", joined, every(120)),
    "joined_ts_later_first": ("ts", partial(joined, first_s=100.0), every(120)),
    "joined_m2ts": ("m2ts", joined, every(120)),
    "joined_mpg": ("mpg", partial(joined, codec="mpeg2video"), every(120)),
    "joined_mkv": ("mkv", joined, every(120)),
    "joined_avi": ("avi", joined, every(120)),
    "joined_stream": ("h264", joined, every(120)),
}


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_at_its_time(tmp_path, name):
    suffix, make, times_s = CLIPS[name]
    path = make(tmp_path / f"{name}.{suffix}")
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size or p.dts is None]
        expected = [f.to_ndarray(format="rgb24") for p in packets for f in p.decode()]
    assert len(expected) == len(times_s)
    with PyAVReader(path) as reader:
        np.testing.assert_allclose(reader.times_s, times_s, atol=1e-3)
        order = np.random.default_rng(0).permutation(len(expected))
        np.testing.assert_array_equal(reader.read(order.tolist()), np.stack(expected)[order])
        reader.check()


def test_timestamps_that_come_in_another_order_than_expected(tmp_path):
    """Where neither header nor first packets tell of it, the first frame out of order does."""
    found = replace(demux(encode(tmp_path / "a.avi")), reordered=False)
    assert found.clean
    with PyAVReader(found.source, demuxed=found) as reader, PyAVReader(found.source) as known:
        np.testing.assert_array_equal(reader.read([40, 3]), known.read([40, 3]))
        np.testing.assert_array_equal(reader.times_s, known.times_s)
        assert reader.stamps == known.stamps
        assert reader.keyframes.tolist() == known.keyframes.tolist()


class TestTruncated:
    def test_empty_chunks_excuse_no_other_loss(self, tmp_path):
        path = emptied(tmp_path / "a.avi", {1, 30})
        cut(path, 0.75)
        with pytest.raises(ValueError, match=r"a\.avi: the container promises 60 frames, [23]\d decode; copy the file"):
            PyAVReader(path)

    def test_kept_and_told(self, tmp_path, caplog):
        path = cut(emptied(tmp_path / "a.avi", {1}), 0.75)
        with caplog.at_level(logging.WARNING, logger="mtal"), PyAVReader(path, on_truncated="keep") as reader:
            assert 20 < len(reader) < 59
            assert reader.times_s[1] == pytest.approx(2 * PERIOD_S)
        assert f"the container promises 60 frames, {len(reader)} decode; these are used" in caplog.text

    def test_a_last_packet_that_is_cut(self, tmp_path):
        path = cut(encode(tmp_path / "a.flv", options=IN_ORDER), 0.7)
        with pytest.raises(ValueError, match=r"a\.flv: .*decode; copy the file again, or use those that decode: "):
            PyAVReader(path)


def test_no_time_at_all(tmp_path):
    found = replace(demux(encode(tmp_path / "a.h264")), rate=0)
    with pytest.raises(ValueError, match=r"a\.h264: neither its frames nor its header tell the time of a frame; copy"):
        PyAVReader(found.source, demuxed=found)


def test_several_videos_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="mtal"):
        assert len(PyAVReader(two_videos(tmp_path / "a.ts"))) == 60
    assert "a.ts: the file holds 2 videos; the first is read" in caplog.text


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")
@pytest.mark.parametrize(
    ("file", "frames", "times_s"),
    [
        ("avi_b_frames/case1/endoscope_h264_b_frames.avi", 60, every(60)),
        ("avi_b_frames/case1/xvid_b_frames.avi", 164, every(164)),
        ("avi_dropped_frame/case1/dropped.avi", 58, every(60, 1, 20)),
        ("joined_recording/case1/joined.ts", 80, every(80)),
    ],
)
def test_the_cases(file, frames, times_s):
    with PyAVReader(CASES / file) as reader:
        assert len(reader) == frames
        np.testing.assert_allclose(reader.times_s, times_s, atol=1e-6)
        reader.check()
