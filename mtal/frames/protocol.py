"""What every reader of frames offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Reader(Protocol):
    """Native frames of one source. Frame k is the k-th frame that PyAV decodes sequentially, or an error is raised.

    Attributes:
        source: the video file or image folder.
        frames: ``[N]`` int64, native 0-based frame numbers in ascending order.
        times_s: ``[N]`` float64, presentation times in seconds, of which the first frame of a video has 0.
        frame_size: (H, W); in a folder of images of several sizes, of the first.
    """

    source: Path
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    frame_size: tuple[int, int]

    def __len__(self) -> int: ...

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames of one size in the order asked; repeats are allowed."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
