"""Which native frames are offered for labelling."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class UniformSampler:
    """The frame nearest to each tick k / rate, k = 0, 1, …: one frame every 1 / rate seconds.

    A tick is served only by a frame at most half a tick away, so that gaps in the video stay gaps, and none is served
    after the last frame has been shown (3 s of video at 1 Hz give 3 frames). Of two equally near frames the earlier is
    taken, and no frame twice; a rate above the native one gives every frame.

    Args:
        rate_hz: frames per second.

    Raises:
        ValueError: the rate is not a positive number.
    """

    def __init__(self, rate_hz: float) -> None:
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"the sampling rate must be a positive number of frames per second, not {rate_hz}")
        self.rate_hz = rate_hz

    def __call__(self, times_s: ArrayLike) -> NDArray[np.int64]:
        """Positions of the frames taken, ascending, given ``[N]`` presentation times in seconds, ascending.

        Raises:
            ValueError: the times are not finite and ascending.
        """
        times = np.asarray(times_s, dtype=np.float64)  # [N]
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError("the sampler needs one finite, ascending presentation time per frame")
        tick = np.floor(times * self.rate_hz + 0.5).astype(np.int64)  # [N] nearest tick of each frame
        # nanoseconds, so that rounding in k / rate does not decide between two equally near frames
        distance = np.round(np.abs(times - tick / self.rate_hz), 9)  # [N]
        nearest_first = np.lexsort((np.arange(len(times)), distance, tick))  # [N] by tick, distance, order
        _, first = np.unique(tick[nearest_first], return_index=True)
        taken = np.sort(nearest_first[first])  # ascending, and so are their ticks
        if len(times) > 1:
            # 0.9 of a frame, since containers round timestamps
            end = times[-1] + 0.9 * np.median(np.diff(times))
            taken = taken[tick[taken] / self.rate_hz < max(end, times[-1] + 1e-9)]
        return taken
