"""A video file, opened; which of its streams is the video, and the frames that come out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.stream import Disposition


def open_video(source: Path) -> av.container.InputContainer:
    """Open a file that holds video.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: the file may not be read.
        OSError: the system cannot open it, as where too many files are open; the error keeps its number.
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
        if isinstance(error, OSError):  # the system's, not the file's
            raise OSError(error.errno, f"{source}: the file cannot be opened ({error.strerror})") from error
        raise ValueError(
            f"{source}: not a video, or one without its index ({error.strerror}); copy it again"
        ) from error
    if not _films(container):
        container.close()
        raise ValueError(f"{source}: the file has no video stream; move it out of the folder, or name another file")
    return container


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures; cover pictures are none."""
    return _films(container)[0]


def count_of_videos(container: av.container.InputContainer) -> int:
    """Streams of moving pictures found so far: a transport stream may bring others later."""
    return len(_films(container))


def decode(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """The frames from where the file stands on, in the order in which PyAV decodes them.

    Packets without content are left out: to the decoder one says that the file ends.

    Raises:
        av.error.FFmpegError: a packet does not decode.
    """
    for packet in container.demux(video_stream(container)):
        if packet.size or packet.dts is None:  # PyAV ends with an empty packet that has no time, to flush the decoder
            yield from packet.decode()


def _films(container: av.container.InputContainer) -> list[av.VideoStream]:
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
