"""Files that were joined byte by byte: what is not read of them is told."""

import logging
from functools import partial

import av
import numpy as np
import pytest

from mtal.frames.demux import demux
from mtal.frames.joined import next_recording
from mtal.frames.pyav_reader import PyAVReader

from .conftest import encode, remux

IN_ORDER = {"g": "12"}
CUT = {  # suffix → what encodes
    "asf": encode,
    "flv": partial(encode, codec="flv", options=IN_ORDER),
    "ivf": partial(encode, codec="libvpx", options=IN_ORDER),
    "m4v": encode,
    "mov": encode,
    "mp4": partial(remux, muxer={"movflags": "faststart"}),
    "ogg": partial(encode, codec="libvpx", options=IN_ORDER),
    "rm": partial(encode, codec="rv10", options=IN_ORDER),
    "wmv": partial(encode, codec="wmv2", options=IN_ORDER),
    "wtv": encode,
    "y4m": partial(encode, codec="wrapped_avframe", options=IN_ORDER),
}


def two(folder, suffix, first=encode, second=None):
    """A file of two recordings, and the byte at which the second begins."""
    made = [make(folder / f"{k}.{suffix}") for k, make in enumerate([first, second or first])]
    path = folder / f"both.{suffix}"
    path.write_bytes(b"".join(one.read_bytes() for one in made))
    return path, made[0].stat().st_size


@pytest.mark.parametrize("suffix", CUT)
def test_refused_where_the_second_is_not_read(tmp_path, suffix, caplog):
    path, at = two(tmp_path, suffix, CUT[suffix])
    what = rf"both\.{suffix}: recordings were joined in it byte by byte, and that from byte {at} on is not read"
    with pytest.raises(ValueError, match=rf"{what}; cut it there into files of their own, or use .*on_truncated=keep"):
        PyAVReader(path)
    with caplog.at_level(logging.WARNING, logger="mtal"):
        kept = PyAVReader(path, on_truncated="keep")
    with kept, PyAVReader(tmp_path / f"0.{suffix}") as first:
        assert len(kept) == len(first) == 60
        np.testing.assert_array_equal(kept.read([59, 3]), first.read([59, 3]))
    assert f"that from byte {at} on is not read; the frames before it are used" in caplog.text


def test_as_the_message_says(tmp_path):
    """Files of their own are read whole."""
    path, at = two(tmp_path, "mp4")
    data = path.read_bytes()
    for part in (data[:at], data[at:]):
        path.write_bytes(part)
        assert len(PyAVReader(path)) == 60


class TestReadOn:
    """Matroska and fragmented MP4 are read across the joint, by the header of the first."""

    def test_of_one_encoding(self, tmp_path):
        path, _ = two(tmp_path, "mkv")
        with PyAVReader(path) as reader, PyAVReader(tmp_path / "1.mkv") as second:
            assert (np.diff(reader.times_s) > 0).all()
            np.testing.assert_array_equal(reader.read([119, 60]), second.read([59, 0]))

    def test_of_another_encoding(self, tmp_path):
        path, at = two(tmp_path, "mkv", second=partial(encode, options={"g": "12", "profile": "baseline"}))
        with pytest.raises(ValueError, match=rf"both\.mkv: .* that from byte {at} on would be read by the header of"):
            PyAVReader(path, on_truncated="keep")

    def test_in_fragments(self, tmp_path):
        path, at = two(tmp_path, "mp4", partial(remux, muxer={"movflags": "frag_keyframe+empty_moov"}))
        with pytest.raises(ValueError, match=rf"both\.mp4: .* that from byte {at} on would be read by the header of"):
            PyAVReader(path, on_truncated="keep")


@pytest.mark.parametrize("n", [3, 60])
def test_nut_in_which_ffmpeg_loses_its_place(tmp_path, n):
    """Of 3 frames behind the joint it reads one, of 60 it reads 62."""
    path, at = two(tmp_path, "nut", partial(encode, n=n, codec="mpeg4"))
    with av.open(str(path)) as container:
        behind = sum(packet.pos >= at for packet in container.demux(video=0) if packet.size)
    assert behind == {3: 1, 60: 62}[n]
    told = rf"both\.nut: .* byte {at} on would be read with frames lost or added, at false times; cut it there into"
    for choice in ("raise", "keep"):
        with pytest.raises(ValueError, match=told):
            PyAVReader(path, on_truncated=choice)
    data = path.read_bytes()
    for part in (data[:at], data[at:]):  # as the message says
        path.write_bytes(part)
        assert len(PyAVReader(path)) == n


def test_boxes_behind_the_film_are_no_recording(tmp_path):
    path = encode(tmp_path / "a.mp4")
    with path.open("ab") as file:
        file.write(
            b"\x00\x00\x00\x10free" + b"ftypmoov" + b"\x00\x00\x00\x01skip" + (16).to_bytes(8, "big") + bytes(99)
        )
    assert demux(path).unread is None
    assert len(PyAVReader(path)) == 60


def test_a_header_across_two_reads(tmp_path, monkeypatch):
    path, at = two(tmp_path, "asf")
    for size in (at - 7, at, at + 1):
        monkeypatch.setattr("mtal.frames.joined._CHUNK", size)
        assert next_recording(path, "asf", 1) == at
    assert next_recording(path, "asf", at + 1) is None
    assert next_recording(path, "asf", 1, at) is None


def test_only_what_lies_behind_the_last_packet_is_read(tmp_path, monkeypatch):
    path, read = encode(tmp_path / "a.flv", codec="flv", options=IN_ORDER), []
    monkeypatch.setattr("mtal.frames.demux.next_recording", lambda source, name, start: read.append(start))
    demux(path)
    assert read[0] > 0.9 * path.stat().st_size
