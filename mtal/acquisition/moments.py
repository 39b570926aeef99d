"""Where frames stand in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Moments:
    """Where frames stand in time.

    Args:
        video: ``[N]`` integer code of each frame's video.
        time_s: ``[N]`` presentation time in seconds.

    Raises:
        ValueError: the shapes disagree, or a time is not finite.
    """

    video: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", np.asarray(self.video, dtype=np.int64))
        object.__setattr__(self, "time_s", np.asarray(self.time_s, dtype=np.float64))
        if self.video.ndim != 1 or self.video.shape != self.time_s.shape:
            raise ValueError(f"video is {list(self.video.shape)} but time_s is {list(self.time_s.shape)}; both are [N]")
        if not np.isfinite(self.time_s).all():
            raise ValueError("time_s holds values that are not finite; every frame needs its presentation time")

    def __len__(self) -> int:
        return len(self.video)

    def take(self, index: npt.NDArray[np.int64] | slice) -> Moments:
        """Those of the frames at ``index``."""
        return Moments(self.video[index], self.time_s[index])
