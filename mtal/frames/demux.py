"""What a video file says of its frames before they are decoded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.bitstream import Picture, length_size, picture
from mtal.frames.empty_chunks import empty_chunks
from mtal.frames.heartbeat import beat
from mtal.frames.joined import next_recording, refuse_foreign_headers
from mtal.frames.turned import display_matrix, shown_size
from mtal.frames.video_file import count_of_videos, decode, open_video, video_stream

_PACKETS = 100  # read between heartbeats
_NO_PRESENTATION_TIMES = {"avi", "asf"}
_NOTHING_NEW = 19
"""Most bytes of an MPEG-4 packet that may tell a decoder to show the last frame longer; FFmpeg's ``MAX_NVOP_SIZE``."""
_MPEG_CLOCK = Fraction(1, 90_000)  # seconds per tick of a transport or program stream
_HALF_A_DAY = 2**32  # ticks: the clock has 33 bits, and FFmpeg takes a restart for its overflow
_PARSED = (
    3  # packets before a joint that FFmpeg may mark as damaged, though they are whole: its parser is that far behind
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demuxed:
    """Packets of the first video stream in the order they are stored, which is the order of decoding.

    Args:
        source: the file.
        container: names of the container format, as FFmpeg has them.
        codec: name of the codec.
        promised: frame count in the header, 0 where it has none.
        frame_size: (H, W) of the frames as they are shown.
        turned: the first frame is turned or mirrored to be shown.
        time_base: seconds per tick of a timestamp.
        rate: frames per second that the header or the first packets tell, 0 where they do not.
        pts: presentation timestamps in ticks; ``None`` where a packet has none.
        reordered: frames may come out in another order than their timestamps: the container has none of presentation,
            and the codec stores frames out of order.
        restarts: the clock jumps from one packet to the next, as where recordings were joined.
        keyframes: packets marked as decodable without the ones before.
        pictures: what each packet holds, as far as can be told without decoding it.
        empty: frames promised that have no content, which are no packets.
        nothing_new: packets so small that no frame may come of them.
        discarded: some packet is decoded but not shown (an edit list cuts into it).
        corrupt: some packet is marked as damaged or cut short.
        unread: byte where another recording begins of which no packet was read, as where files were joined.
    """

    source: Path
    container: str
    codec: str
    promised: int
    frame_size: tuple[int, int]
    turned: bool
    time_base: Fraction
    rate: Fraction
    pts: tuple[int | None, ...]
    reordered: bool
    restarts: bool
    keyframes: NDArray[np.bool_]
    pictures: tuple[Picture, ...]
    empty: int
    nothing_new: int
    discarded: bool
    corrupt: bool
    unread: int | None

    @property
    def clean(self) -> bool:
        """Packets can stand for frames: each has a time of its own and a frame, none is hidden, damaged or missing."""
        timestamped = None not in self.pts and len(set(self.pts)) == len(self.pts)
        in_order = timestamped and not self.reordered and not self.restarts
        whole = not self.discarded and not self.corrupt and self.promised in (0, len(self.pts) + self.empty)
        return in_order and whole and not self.nothing_new and bool(self.keyframes[0])

    @property
    def entries(self) -> list[int]:
        """Frame numbers, ascending, where decoding may begin: the first, and IDR pictures where the packets prove all.

        That is where each packet stands for one frame and no frame is shown before an IDR picture that it follows.
        """
        if not self.clean or Picture.NONE in self.pictures:
            return [0]
        pts = np.array(self.pts, dtype=np.int64)  # [P] as stored
        resets = np.array([p is Picture.RESET for p in self.pictures]) & self.keyframes  # [P]
        later = np.minimum.accumulate(pts[::-1])[::-1]  # [P] first of the timestamps from each packet on
        earlier = np.maximum.accumulate(pts)  # [P] last of the timestamps up to each packet
        ordered = (later == pts) & (earlier == pts)
        return sorted({0, *np.searchsorted(np.sort(pts), pts[resets & ordered]).tolist()})


def demux(source: Path) -> Demuxed:
    """Read the packets of a video file, and decode its first frame.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video, or joined recordings that would be read by the header of the first.
    """
    frame_size, turned = first_frame(source)
    with open_video(source) as container:
        stream = video_stream(container)
        packets = _Packets(stream)
        try:
            for packet in container.demux(stream):
                packets.add(packet)
        except av.error.FFmpegError:
            packets.broken_off = True  # the packets before the damage are still there
        if not packets.pts:
            raise ValueError(f"{source}: the video stream holds no frames; copy the file again")
        if stream.time_base is None:
            raise ValueError(f"{source}: the video stream has no time base; copy the video into an MP4 file")
        if count_of_videos(container) > 1:
            _log.warning("%s: the file holds %d videos; the first is read", source, count_of_videos(container))
        missing = stream.frames > len(packets.pts)
        joints = packets.joints(stream.time_base)
        name, places = container.format.name, packets.places
        refuse_foreign_headers(source, name, stream, [(places[j], places[j + 1]) for j in joints])
        return Demuxed(
            source=source,
            container=name,
            codec=stream.codec_context.name,
            promised=stream.frames,
            frame_size=frame_size,
            turned=turned,
            time_base=stream.time_base,
            rate=stream.guessed_rate or stream.average_rate or Fraction(0),
            pts=tuple(packets.pts),
            reordered=name in _NO_PRESENTATION_TIMES and bool(stream.codec_context.has_b_frames),
            restarts=len(joints) > 0,
            keyframes=np.array(packets.keyframes),
            pictures=tuple(packets.pictures),
            empty=packets.empty + (empty_chunks(source, stream) if missing else 0),
            nothing_new=packets.nothing_new,
            discarded=packets.discarded,
            corrupt=packets.broken_off or not packets.corrupt <= {j - i for j in joints for i in range(_PARSED)},
            unread=next_recording(source, name, max(places) or 1),
        )


def jumps(steps: NDArray[np.int64], time_base: Fraction) -> NDArray[np.bool_]:
    """Which steps from one timestamp to the next are those of a clock that was set anew."""
    back = steps < 0
    return back | (steps > _HALF_A_DAY) if time_base == _MPEG_CLOCK else back


class _Packets:
    """What is kept of the packets of one stream."""

    def __init__(self, stream: av.VideoStream) -> None:
        self.codec = stream.codec_context.name
        self._extradata = stream.codec_context.extradata or b""
        self._size = length_size(self.codec, self._extradata)
        self.pts: list[int | None] = []
        self.dts: list[int | None] = []
        self.places: list[int] = []  # bytes at which they begin
        self.keyframes: list[bool] = []
        self.pictures: list[Picture] = []
        self.empty = self.nothing_new = 0
        self.corrupt: set[int] = set()  # their numbers
        self.discarded = self.broken_off = False

    def joints(self, time_base: Fraction) -> list[int]:
        """Numbers of the packets after which the clock jumps."""
        number = np.array([i for i, dts in enumerate(self.dts) if dts is not None], dtype=np.int64)
        dts = np.array([dts for dts in self.dts if dts is not None], dtype=np.int64)
        return number[:-1][jumps(dts[1:] - dts[:-1], time_base)].tolist()

    def add(self, packet: av.Packet) -> None:
        if packet.size == 0:
            self.empty += packet.dts is not None  # PyAV ends with one that has no time, to flush the decoder
            return
        self.pts.append(packet.pts)
        self.places.append(packet.pos or 0)
        self.keyframes.append(packet.is_keyframe)
        self.pictures.append(
            Picture.NONE if self._size is None else picture(memoryview(packet), self.codec, self._size, self._extradata)
        )
        self.nothing_new += self.codec == "mpeg4" and packet.size <= _NOTHING_NEW
        self.dts.append(packet.dts)
        self.discarded |= packet.is_discard
        if packet.is_corrupt:
            self.corrupt.add(len(self.pts) - 1)
        if len(self.pts) % _PACKETS == 0:
            beat(len(self.pts))


def first_frame(source: Path) -> tuple[tuple[int, int], bool]:
    """(H, W) as it is shown, and whether it is turned for that; as the header has it where no frame decodes."""
    with open_video(source) as container:
        context = video_stream(container).codec_context
        try:
            frame = next(decode(container), None)
        except av.error.FFmpegError:
            frame = None
        if frame is None:
            return (context.height, context.width), False
        return shown_size(frame, source), display_matrix(frame) is not None
