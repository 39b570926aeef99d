"""What a video file says of its frames before any of them is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.bitstream import Picture, length_size, picture
from mtal.frames.heartbeat import beat

_PACKETS = 100  # read between heartbeats


@dataclass(frozen=True)
class Demuxed:
    """Packets of the first video stream in the order they are stored, which is the order of decoding.

    Args:
        source: the file.
        container: names of the container format, as FFmpeg has them.
        codec: name of the codec.
        promised: frame count in the header, 0 where it has none.
        frame_size: (H, W) of the decoded frames.
        time_base: seconds per tick of a timestamp.
        pts: presentation timestamps in ticks; ``None`` where a packet has none.
        keyframes: packets marked as decodable without the ones before.
        pictures: what each packet holds, as far as can be told without decoding it.
        discarded: some packet is decoded but not shown (an edit list cuts into it).
        corrupt: some packet is marked as damaged or cut short.
    """

    source: Path
    container: str
    codec: str
    promised: int
    frame_size: tuple[int, int]
    time_base: Fraction
    pts: tuple[int | None, ...]
    keyframes: NDArray[np.bool_]
    pictures: tuple[Picture, ...]
    discarded: bool
    corrupt: bool

    @property
    def clean(self) -> bool:
        """Packets can stand for frames: each has a timestamp of its own, none is hidden or damaged, none is missing."""
        timestamped = None not in self.pts and len(set(self.pts)) == len(self.pts)
        whole = not self.discarded and not self.corrupt and self.promised in (0, len(self.pts))
        return timestamped and whole and bool(self.keyframes[0])

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


def open_video(source: Path) -> av.container.InputContainer:
    """Open a file that holds video.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: the file may not be read.
        ValueError: the file is empty, no video, or has no video stream.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such video file")
    if not os.access(source, os.R_OK):
        raise PermissionError(f"{source}: the file may not be read; ask its owner for permission")
    if source.stat().st_size == 0:
        raise ValueError(f"{source}: the file is empty; copy it again")
    try:
        container = av.open(str(source))
    except av.error.FFmpegError as error:
        raise ValueError(
            f"{source}: not a video, or one without its index ({error.strerror}); copy it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{source}: the file has no video stream")
    return container


def demux(source: Path) -> Demuxed:
    """Read the packets of a video file without decoding them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video.
    """
    pts: list[int | None] = []
    keyframes: list[bool] = []
    pictures: list[Picture] = []
    discarded = corrupt = False
    with open_video(source) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        extradata = context.extradata or b""
        size = length_size(context.name, extradata)
        try:
            for packet in container.demux(stream):
                if packet.size == 0:  # PyAV ends with an empty packet that flushes the decoder
                    continue
                pts.append(packet.pts)
                keyframes.append(packet.is_keyframe)
                pictures.append(
                    Picture.NONE if size is None else picture(memoryview(packet), context.name, size, extradata)
                )
                if len(pts) % _PACKETS == 0:
                    beat(len(pts))
                discarded |= packet.is_discard
                corrupt |= packet.is_corrupt
        except av.error.FFmpegError:
            corrupt = True  # the packets before the damage are still there
        if not pts:
            raise ValueError(f"{source}: the video stream holds no frames")
        if stream.time_base is None:
            raise ValueError(f"{source}: the video stream has no time base")
        return Demuxed(
            source=source,
            container=container.format.name,
            codec=context.name,
            promised=stream.frames,
            frame_size=(context.height, context.width),
            time_base=stream.time_base,
            pts=tuple(pts),
            keyframes=np.array(keyframes),
            pictures=tuple(pictures),
            discarded=discarded,
            corrupt=corrupt,
        )
