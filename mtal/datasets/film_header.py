"""What a video file says before its packets are read, which would read the whole file."""

from __future__ import annotations

import sys
from pathlib import Path

from mtal.frames.demux import first_frame
from mtal.frames.video_file import open_video, video_stream


def film_header(path: Path) -> tuple[int, tuple[int, int]]:
    """Number of frames that the header promises, endless where it does not say, and (H, W) as the first is shown.

    Frames that are promised but missing are told when they are read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video.
    """
    size, _ = first_frame(path)
    with open_video(path) as container:
        return video_stream(container).frames or sys.maxsize, size
