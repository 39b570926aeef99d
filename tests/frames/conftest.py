"""Small video clips, each with one property that has made a decoder return the wrong frame."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from mtal.frames.pyav_reader import PyAVReader

HEIGHT, WIDTH = 48, 64
GROUPS = {"g": "12", "bf": "2"}
ONE_KEYFRAME = {"g": "600", "bf": "3", "sc_threshold": "0"}
CLOSED_HEVC = {"x265-params": "log-level=none:keyint=12:open-gop=0"}


def picture(k: int) -> np.ndarray:
    """Frame k, unlike its neighbours: two bars that move over a gray that changes with k."""
    image = np.full((HEIGHT, WIDTH, 3), 40 + (k * 37) % 160, dtype=np.uint8)
    image[:, (5 * k) % WIDTH :][:, :6] = (230, 30, 30)
    image[(3 * k) % HEIGHT :][:4] = (20, 20, 220)
    return image


def encode(
    path: Path,
    n: int = 60,
    rate: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda k: k,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    pix_fmt: str = "yuv420p",
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options or GROUPS)
        (stream.height, stream.width), stream.pix_fmt = size, pix_fmt
        stream.thread_count = 1
        out.start_encoding()
        for k in range(n):
            frame = av.VideoFrame.from_ndarray(picture(k)[: size[0], : size[1]], format="rgb24")
            frame.pts, frame.time_base = pts(k), Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def remux(
    path: Path,
    change: Callable[[int, av.Packet], av.Packet | None] = lambda _, packet: packet,
    muxer: dict[str, str] | None = None,
    **source: object,
) -> Path:
    """A clip whose packets went through ``change(position, packet)``; ``None`` drops one."""
    original = encode(path.with_name("original.mp4"), **source)
    with av.open(str(original)) as inp, av.open(str(path), "w", container_options=muxer or {}) as out:
        stream = out.add_stream_from_template(inp.streams.video[0])
        for i, packet in enumerate(p for p in inp.demux(video=0) if p.size):
            changed = change(i, packet)
            if changed is not None:
                changed.stream = stream
                out.mux(changed)
    original.unlink()
    return path


def shifted(_: int, packet: av.Packet, seconds: float) -> av.Packet:
    ticks = round(seconds / packet.time_base)
    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
    return packet


def without_picture(i: int, packet: av.Packet, positions: set[int], content: bytes | None = None) -> av.Packet:
    """Some packets keep their timestamps but hold ``content`` (by default half of what they held)."""
    if i not in positions:
        return packet
    other = av.Packet(bytes(packet)[: packet.size // 2] if content is None else content)
    other.pts, other.dts, other.time_base, other.duration = packet.pts, packet.dts, packet.time_base, packet.duration
    return other


FILLER = b"\x00\x00\x00\x05\x0c\xff\xff\xff\x80"  # an H.264 unit of type 12: filler data


def cut(path: Path, share: float = 0.6) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def reported(path: Path, frames: int) -> Path:
    """The AVI headers say so many frames where there are 60."""
    data = bytearray(encode(path, codec="mpeg4").read_bytes())
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        assert struct.unpack_from("<I", data, field) == (60,)
        struct.pack_into("<I", data, field, frames)
    path.write_bytes(data)
    return path


def rotated(path: Path, shown: Sequence[float] = (0, 1, -1, 0)) -> Path:
    """The track's matrix is ``a b c d``, (x, y) is shown at (a x + c y, b x + d y): by default turned clockwise."""
    data = bytearray(encode(path).read_bytes())
    matrix = data.index(b"tkhd") + 44
    one, corner = 1 << 16, 1 << 30
    assert struct.unpack_from(">9i", data, matrix) == (one, 0, 0, 0, one, 0, 0, 0, corner)
    a, b, c, d = (round(one * value) for value in shown)
    struct.pack_into(">9i", data, matrix, a, b, 0, c, d, 0, 0, 0, corner)
    path.write_bytes(data)
    return path


def flipped(path: Path) -> Path:
    """The byte in the middle of the file is another."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def dangling(path: Path) -> Path:
    path.symlink_to(path.with_name("unplugged.mp4"))
    return path


def x264(parameters: str, **options: str) -> dict[str, str]:
    return {**GROUPS, "sc_threshold": "0", "x264-params": parameters, **options}


CLIPS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    # decord gets these right
    "groups": ("mp4", encode),
    "no_b_frames": ("mp4", partial(encode, options={"g": "12", "bf": "0"})),
    "one_keyframe_in_order": ("mp4", partial(encode, options={"g": "600", "bf": "0", "sc_threshold": "0"})),
    "matroska": ("mkv", encode),
    "thirty_hz_matroska": ("mkv", partial(encode, rate=30)),
    "fragmented": ("mp4", partial(remux, muxer={"movflags": "frag_keyframe+empty_moov"})),
    # and these wrong, or nobody can tell before decoding
    "one_keyframe": ("mp4", partial(encode, n=62, rate=1, options=ONE_KEYFRAME)),
    "gaps": ("mp4", partial(encode, pts=lambda k: k + 3 * (k > 20) + 7 * (k > 40))),
    "one_keyframe_gaps_negative": (
        "mp4",
        partial(
            remux,
            change=partial(shifted, seconds=-0.5),
            rate=1,
            options=ONE_KEYFRAME,
            pts=lambda k: k + 3 * (k > 20) + 7 * (k > 40),
        ),
    ),
    "negative_start": ("mp4", partial(remux, change=partial(shifted, seconds=-0.16))),
    "negative_transport": (
        "ts",
        partial(
            remux, change=partial(shifted, seconds=-0.16), muxer={"avoid_negative_ts": "disabled", "muxdelay": "0"}
        ),
    ),
    "transport": ("ts", encode),
    "first_packet_lost": ("ts", partial(remux, change=lambda i, packet: packet if i else None)),
    "variable_rate": ("mp4", partial(encode, pts=lambda k: k + k * k // 40)),
    "closed_groups_of_250": ("mp4", partial(encode, n=260, options=x264("keyint=250:min-keyint=250"))),
    "open_groups_of_250": ("mp4", partial(encode, n=260, options=x264("keyint=250:min-keyint=250:open-gop=1"))),
    "under_reported": ("avi", partial(reported, frames=58)),
    "odd_size": ("mp4", partial(encode, options={"g": "12"}, size=(47, 63), pix_fmt="yuv444p")),
    "odd_size_vp9": ("webm", partial(encode, codec="libvpx-vp9", options={"g": "12"}, size=(47, 63))),
    "rotated": ("mp4", rotated),
    "ten_bit": ("mp4", partial(encode, pix_fmt="yuv420p10le")),
    "interlaced": ("mp4", partial(encode, options=x264("interlaced=1"))),
    "mjpeg": ("avi", partial(encode, codec="mjpeg", options={"qmin": "2"}, pix_fmt="yuvj420p")),
    "one_frame": ("mp4", partial(encode, n=1)),
    "open_groups": ("mp4", partial(encode, options=x264("open-gop=1:b-adapt=0"))),
    "intra_refresh": ("mp4", partial(encode, options=x264("intra-refresh=1", bf="0"))),
    "hevc": ("mp4", partial(encode, codec="libx265", options={"x265-params": "log-level=none:keyint=12"})),
    "hevc_closed": ("mp4", partial(encode, codec="libx265", options=CLOSED_HEVC)),
    "mpeg4": ("mp4", partial(encode, codec="mpeg4")),
    "mpeg4_avi": ("avi", partial(encode, codec="mpeg4")),
    "vp9": ("webm", partial(encode, codec="libvpx-vp9", options={"g": "12"})),
    "cut_transport": ("ts", lambda path: cut(encode(path))),
    "cut_matroska": ("mkv", lambda path: cut(encode(path))),
    # damaged: frames before the damage can be read
    "fillers_at_the_end": ("mp4", partial(remux, change=partial(without_picture, positions={58, 59}, content=FILLER))),
    "fillers_inside": ("mp4", partial(remux, change=partial(without_picture, positions={30, 31}, content=FILLER))),
    "half_packets": ("mp4", partial(remux, change=partial(without_picture, positions={30, 31}))),
    "flipped": ("mp4", lambda path: flipped(encode(path))),
    "flipped_one_keyframe": ("mp4", lambda path: flipped(encode(path, options=ONE_KEYFRAME))),
    "flipped_hevc": ("mp4", lambda path: flipped(encode(path, codec="libx265", options=CLOSED_HEVC))),
    "flipped_mpeg4": ("avi", lambda path: flipped(encode(path, codec="mpeg4"))),
    "flipped_mjpeg": (
        "avi",
        lambda path: flipped(encode(path, codec="mjpeg", options={"qmin": "2"}, pix_fmt="yuvj420p")),
    ),
    "flipped_vp9": ("webm", lambda path: flipped(encode(path, codec="libvpx-vp9", options={"g": "12"}))),
    # damaged: refused when opened
    "cut": ("mp4", lambda path: cut(remux(path, muxer={"movflags": "faststart"}))),
    "over_reported": ("avi", partial(reported, frames=62)),
    "cut_before_the_index": ("mp4", lambda path: cut(encode(path))),
    "empty": ("mp4", partial(written, content=b"")),
    "text": ("mp4", partial(written, content=b"no video at all\n" * 99)),
    "audio": ("mp4", audio_only),
    "no_frame": ("mp4", partial(encode, n=0)),
    "no_frame_avi": ("avi", partial(encode, n=0, codec="mpeg4")),
    "folder": ("mp4", folder),
    "dangling": ("mp4", dangling),
}


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Callable[[str], Path]:
    """Name → path of a clip, made when first asked for."""
    root = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            suffix, build = CLIPS[name]
            made[name] = build(root / f"{name}.{suffix}")
        return made[name]

    return make


@pytest.fixture(scope="session")
def sequential(clip) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Name → the frames ``[N, H, W, 3]`` and times ``[N]`` in seconds of one plain decode, up to the first error."""

    def decode(name: str) -> tuple[np.ndarray, np.ndarray]:
        frames, times = [], []
        with av.open(str(clip(name))) as container:
            try:
                for frame in container.decode(video=0):
                    frames.append(frame.to_ndarray(format="rgb24"))
                    times.append(frame.time)
            except av.error.InvalidDataError:
                assert frames
        return np.stack(frames), np.array(times)

    return decode


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """Frames that the sequential reader decoded."""
    numbers: list[int] = []
    original = PyAVReader._advance
    monkeypatch.setattr(PyAVReader, "_advance", lambda self, k: numbers.append(k) or original(self, k))
    return numbers
