"""What may be picked next, given what was picked and labelled before."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from mtal.acquisition.moments import Moments

Bools = npt.NDArray[np.bool_]


class Constraint:
    """Every frame at most once. Keeps track of one call of a selector, so each call needs a fresh one.

    Args:
        size: number of candidates N.
        excluded: ``[N]`` bool, frames that must not be picked at all.

    >>> constraint = Constraint(3)
    >>> constraint.pick(1)
    >>> constraint.allowed().tolist(), constraint.remaining
    ([True, False, True], 2)
    """

    def __init__(self, size: int, excluded: Bools | None = None) -> None:
        self._free = np.ones(size, dtype=bool)
        if excluded is not None:
            if excluded.shape != (size,):
                raise ValueError(f"excluded must be [{size}], one per candidate, not {list(excluded.shape)}")
            self._free &= ~excluded

    def __len__(self) -> int:
        return len(self._free)

    @property
    def free(self) -> Bools:
        """``[N]`` bool: neither picked nor excluded, whatever else may stand against them."""
        return self._free.copy()

    @property
    def remaining(self) -> int:
        """How many frames can still be picked."""
        return int(self._free.sum())

    def allowed(self) -> Bools:
        """``[N]`` bool, at least one true as long as a frame remains."""
        return self.free

    def pick(self, i: int) -> None:
        """Take candidate ``i`` out.

        Raises:
            ValueError: it was picked before or is excluded.
        """
        if not self._free[i]:
            raise ValueError(f"candidate {i} was picked before or is excluded")
        self._free[i] = False


class MinimumGap(Constraint):
    """|time − time'| ≥ seconds for frames of one video, against the frames picked in this call and the labelled ones.

    Neighbouring frames of a video look alike, so a second one is worth little. When no frame is far enough from the
    others but frames remain, the gap is halved until one is, for the rest of the call, and one warning says so: the
    budget is always met.

    Args:
        seconds: the gap, 0 or more.
        candidates: moments of the N candidates.
        labelled: moments of the labelled frames, with the same video codes.
        excluded: ``[N]`` bool, frames that must not be picked at all.

    >>> gap = MinimumGap(2.0, Moments(np.zeros(4), np.array([0.0, 1.0, 2.0, 3.0])))
    >>> gap.pick(0)
    >>> gap.allowed().tolist()
    [False, False, True, True]
    """

    def __init__(
        self, seconds: float, candidates: Moments, labelled: Moments | None = None, excluded: Bools | None = None
    ) -> None:
        super().__init__(len(candidates), excluded)
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"the minimum gap must be 0 seconds or more, not {seconds}")
        self.seconds = float(seconds)
        self._asked = float(seconds)
        self._candidates = candidates
        self._nearest_s = _nearest(candidates, labelled)  # [N], to any picked or labelled frame of the same video

    def allowed(self) -> Bools:
        """``[N]`` bool; widens the choice by halving the gap where none is left."""
        if self.remaining and not (self._free & self._far()).any():
            self._relax()
        return self._free & self._far()

    def pick(self, i: int) -> None:
        """Take candidate ``i`` out, and its neighbours in time with it."""
        super().pick(i)
        same = self._candidates.video == self._candidates.video[i]  # [N]
        distance = np.abs(self._candidates.time_s - self._candidates.time_s[i])  # [N]
        np.minimum(self._nearest_s, np.where(same, distance, np.inf), out=self._nearest_s)

    def _far(self) -> Bools:
        return self._nearest_s >= self.seconds * (1 - 1e-9)  # frame times such as 0.1·k are rounded

    def _relax(self) -> None:
        if self.seconds == self._asked:
            warnings.warn(
                f"no frame is {self._asked:g} s away from the picked and labelled ones, {self.remaining} remain: the "
                f"minimum gap is halved as often as needed; sample more sparsely or set a smaller minimum_gap_s",
                stacklevel=2,
            )
        farthest = float(self._nearest_s[self._free].max())
        while self.seconds > farthest > 0:
            self.seconds /= 2
        if farthest == 0:
            self.seconds = 0.0  # only frames at the very moment of another are left


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
