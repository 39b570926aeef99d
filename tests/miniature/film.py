"""Short H.264 videos for tests."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write(path: Path, pictures: Iterable[np.ndarray], fps: int = 25, pause: tuple[int, int] | None = None) -> Path:
    """``[H, W, 3]`` pictures as one MP4 file with a key frame each second; H and W are even.

    ``pause=(10, 100)`` has picture 9 stand still for 100 frames more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "10", "g": str(fps)}
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if pause is not None:
                frame.pts = number + pause[1] * (number >= pause[0])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbered(count: int, size: tuple[int, int]) -> np.ndarray:
    """``[count, H, W, 3]`` pictures that tell their number: frame k has the gray value 20 + 37 k mod 200."""
    gray = 20 + 37 * np.arange(count) % 200  # neighbours differ by 37 or more, whatever the compression
    return np.broadcast_to(gray[:, None, None, None], (count, *size, 3)).astype(np.uint8)
