"""Pictures as viewers show them: turned by the display matrix that a camera wrote beside them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

_MATRIX = "DISPLAYMATRIX"
_SKEW = np.sin(np.radians(1.0))  # what viewers take for no angle at all


def picture(frame: av.VideoFrame, source: Path) -> NDArray[np.uint8]:
    """``[H, W, 3]`` RGB of a decoded frame, turned and mirrored as its display matrix says.

    Raises:
        ValueError: the matrix turns by an angle that is no multiple of 90 degrees.
    """
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    matrix = display_matrix(frame)
    if matrix is None:
        return pixels
    across, left_right, up_down = _turn(matrix, source)
    pixels = pixels.swapaxes(0, 1) if across else pixels
    return pixels[:: -1 if up_down else 1, :: -1 if left_right else 1]


def shown_size(frame: av.VideoFrame, source: Path) -> tuple[int, int]:
    """(H, W) of :func:`picture`."""
    matrix = display_matrix(frame)
    across = matrix is not None and _turn(matrix, source)[0]
    return (frame.width, frame.height) if across else (frame.height, frame.width)


def display_matrix(frame: av.VideoFrame) -> NDArray[np.float64] | None:
    """``[[a, b], [c, d]]``: a pixel at (x, y) is shown at (a x + c y, b x + d y), y pointing down; ``None`` for as is.

    Apple, QuickTime File Format, "Matrices"; FFmpeg, ``libavutil/display.h``.
    """
    data = frame.side_data.get(_MATRIX)
    if not isinstance(data, SideData):
        return None
    matrix = np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3)[:2, :2].astype(np.float64)
    largest = np.abs(matrix).max()
    if largest == 0 or (np.abs(matrix / largest - np.eye(2)) < _SKEW).all():
        return None
    return matrix / largest


def _turn(matrix: NDArray[np.float64], source: Path) -> tuple[bool, bool, bool]:
    """Whether rows become columns, and then left changes with right, and top with bottom."""
    (a, b), (c, d) = matrix.tolist()
    if max(abs(b), abs(c)) < _SKEW:
        return False, a < 0, d < 0
    if max(abs(a), abs(d)) < _SKEW:
        return True, c < 0, b < 0
    raise ValueError(
        f"{source}: the file says to turn its pictures by {np.degrees(np.arctan2(b, a)) % 360:.0f} degrees, but only "
        "right angles are known; re-encode the file"
    )
