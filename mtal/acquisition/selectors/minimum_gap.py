"""No two frames of a video that are close in time."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from mtal.acquisition.moments import Moments
from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors.constraints import Bools, Rule

_ROUNDING = 1 - 1e-9  # frame times such as 0.1·k are rounded


class MinimumGap(Rule):
    """|time − time'| ≥ seconds for frames of one video, against the frames picked in this call and the labelled ones.

    Neighbouring frames of a video look alike, so a second one is worth little. When no frame is far enough from the
    others but frames remain, the gap is halved until one is, for the rest of the call, and one warning says so.

    Cost: O(log N + frames of the video) per pick.

    Args:
        seconds: the gap, 0 or more.
        candidates: moments of the N candidates.
        labelled: moments of the labelled frames, with the same video codes.

    Attributes:
        seconds: the gap that holds now.

    Raises:
        ValueError: the gap is negative or not finite.

    >>> gap = MinimumGap(2.0, Moments(np.zeros(4), np.array([0.0, 1.0, 2.0, 3.0])))
    >>> gap.pick(0)
    >>> gap.allowed().tolist()
    [False, False, True, True]
    """

    def __init__(self, seconds: float, candidates: Moments, labelled: Moments | None = None) -> None:
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"the minimum gap must be 0 seconds or more, not {seconds}")
        self.seconds = float(seconds)
        self._asked = float(seconds)
        self._candidates = candidates
        self._by_video = np.argsort(candidates.video, kind="stable")  # [N]
        self._videos = candidates.video[self._by_video]  # [N], ascending
        self._nearest_s = _nearest(candidates, labelled)  # [N], to any picked or labelled frame of the same video
        self._far = self._is_far(self._nearest_s)  # [N]

    def __len__(self) -> int:
        return len(self._candidates)

    def allowed(self) -> Bools:
        """``[N]`` bool: far enough from every picked and labelled frame."""
        return self._far

    def pick(self, i: int) -> None:
        """Come nearer to the frames of the video of candidate ``i``."""
        start, end = np.searchsorted(self._videos, self._candidates.video[i] + np.array([0, 1]))
        same = self._by_video[start:end]
        distance = np.abs(self._candidates.time_s[same] - self._candidates.time_s[i])
        nearest = np.minimum(self._nearest_s[same], distance)
        self._nearest_s[same] = nearest
        self._far[same] = self._is_far(nearest)

    def relax(self, left: Bools) -> None:
        """Halve the gap until one of ``left`` is far enough; 0 where all stand at the very moment of another frame."""
        if self.seconds == self._asked:
            warnings.warn(
                f"no frame is {self._asked:g} s away from the picked and labelled ones, {int(left.sum())} remain: the "
                f"minimum gap is halved as often as needed; sample more sparsely or set a smaller minimum_gap_s",
                RoundWarning,
                stacklevel=2,
            )
        farthest = float(self._nearest_s[left].max())
        while farthest < self.seconds * _ROUNDING and farthest > 0:
            self.seconds /= 2
        if farthest == 0:
            self.seconds = 0.0
        self._far = self._is_far(self._nearest_s)

    def _is_far(self, nearest_s: npt.NDArray[np.float64]) -> Bools:
        return nearest_s >= self.seconds * _ROUNDING


def _nearest(candidates: Moments, labelled: Moments | None) -> npt.NDArray[np.float64]:
    """Seconds to the nearest labelled frame of the same video, infinite where there is none: ``[N]``."""
    nearest = np.full(len(candidates), np.inf)
    if labelled is None:
        return nearest
    for video in np.unique(labelled.video):
        there = np.sort(labelled.time_s[labelled.video == video])
        mine = candidates.video == video
        times = candidates.time_s[mine]
        after = np.searchsorted(there, times)
        before_s = np.abs(times - there[np.maximum(after - 1, 0)])
        after_s = np.abs(times - there[np.minimum(after, len(there) - 1)])
        nearest[mine] = np.minimum(before_s, after_s)
    return nearest
