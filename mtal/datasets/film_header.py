"""What the header of a video file says; reading its packets would read the whole file."""

from __future__ import annotations

import sys
from pathlib import Path

from mtal.frames.demux import open_video


def film_header(path: Path) -> tuple[int, tuple[int, int]]:
    """Number of frames that the header promises, endless where it does not say, and (H, W).

    Frames that are promised but missing are told when they are read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        return stream.frames or sys.maxsize, (stream.codec_context.height, stream.codec_context.width)
