"""Which part of a frame the model is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float64]
"""``[N, 4]``, a :class:`Window` of each of N frames."""


class Window(NamedTuple):
    """A rectangle, in heights and widths of the frame, so that it means the same at any resolution.

    It may reach beyond the frame, where the model is shown black.

    >>> Window(-0.25, 0.0, 1.5, 1.0).span(480, 0)
    (-120.0, 720.0)
    """

    top: float
    left: float
    height: float
    width: float

    def span(self, side: int, axis: int) -> tuple[float, float]:
        """Where it begins and how long it is, in pixels of a frame with so many along ``axis`` (0 down, 1 right)."""
        return self[axis] * side, self[axis + 2] * side


def of_rows(windows: Windows | None, rows: Iterable[int]) -> list[Window]:
    """The windows of some frames; none where all are shown whole."""
    return [] if windows is None else [Window(*windows[row].tolist()) for row in rows]


WHOLE = Window(0.0, 0.0, 1.0, 1.0)
"""All of a frame and nothing else."""
