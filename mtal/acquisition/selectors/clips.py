"""Whole clips as units of annotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.constraints import Bools, Constraint
from mtal.acquisition.selectors.tie_break import largest
from mtal.refusals import refuse

Floats = npt.NDArray[np.float64]


class Clips(Selector):
    """argmax over clips of the mean utility of their frames; all frames of the best clip in time order, then the next.

    As in LRTD (Shi et al., IJCARS 2020), where annotators look at a clip at a time; there the utility of a clip comes
    from its non-local features, here from whatever scored its frames. A clip is the frames of one video whose times
    fall into the same ⌊time/clip_s⌋. The clip that exceeds what is left of a budget of frames gives evenly spaced ones;
    a budget of seconds ends where it is spent. Frames that the constraint does not allow are passed over; as a minimum
    gap thins out every clip, it should be less than the time between the frames.

    Cost: O(N log N).

    Args:
        clip_s: seconds per clip, above 0.
        top_fraction: share of a clip's frames, those of the highest utility and at least one, that make its utility;
            1 for the mean over all frames.

    Raises:
        ValueError: an argument is out of its range.

    >>> import torch
    >>> moments = Moments(np.zeros(6), np.array([0.0, 5.0, 10.0, 15.0, 20.0, 25.0]))
    >>> utility = torch.tensor([0.1, 0.9, 0.6, 0.7, 0.0, 0.1])
    >>> candidates = Candidates(np.arange(6, dtype=np.uint64), utility=utility, moments=moments)
    >>> Clips(clip_s=10.0)(candidates, 4, np.random.default_rng(0)).tolist()
    [2, 3, 0, 1]
    """

    needs = frozenset({"utility", "moments"})
    because: ClassVar[str] = "part of a clip of high utility"

    def __init__(self, clip_s: float = 10.0, top_fraction: float = 1.0) -> None:
        self.clip_s = clip_s
        self.top_fraction = top_fraction
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 < self.clip_s < float("inf"):
            yield f"clip_s of clips must be above 0 seconds, not {self.clip_s}"
        if not 0 < self.top_fraction <= 1:
            yield f"top_fraction of clips must be in (0, 1], not {self.top_fraction}"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the frames of the best clip, then of the next."""
        if candidates.moments is None:
            raise ValueError("the candidates bring no moments")
        time_s = candidates.moments.time_s
        clip = self._clip(candidates.moments)  # [N]
        worth = self._worth(require(candidates.utility, "utility"), clip, constraint.free)[clip]  # [N]
        hashes = _smallest_in_group(candidates.tie_break, clip)  # [N], so that a tie is one between clips
        left = budget
        while True:
            best = largest(worth, constraint.allowed(), hashes)
            frames = np.flatnonzero((clip == clip[best]) & constraint.allowed())
            frames = frames[np.lexsort((candidates.tie_break[frames], time_s[frames]))]
            if 0 < left < len(frames):
                frames = frames[((np.arange(left) + 0.5) * len(frames) / left).astype(np.intp)]
            for frame in frames.tolist():
                if constraint.allowed()[frame]:
                    yield frame
                    left -= 1

    def _clip(self, moments: Moments) -> npt.NDArray[np.intp]:
        """Number of each frame's clip, from 0 in the order of (video, time): ``[N]``."""
        number = np.floor(moments.time_s / self.clip_s)  # [N]
        by_time = np.lexsort((number, moments.video))  # [N]
        new = (np.diff(moments.video[by_time]) != 0) | (np.diff(number[by_time]) != 0)  # [N - 1]
        clip = np.empty(len(moments), dtype=np.intp)
        clip[by_time] = np.concatenate([[0], np.cumsum(new)])
        return clip

    def _worth(self, utility: Floats, clip: npt.NDArray[np.intp], free: Bools) -> Floats:
        """Mean utility of the top fraction of the free frames of each clip, ``[clips]``; 0 without a free frame."""
        clips = int(clip.max()) + 1
        frames = np.flatnonzero(free)
        frames = frames[np.lexsort((-utility[frames], clip[frames]))]
        count = np.bincount(clip[frames], minlength=clips)  # [clips]
        place = np.arange(len(frames)) - np.repeat(np.cumsum(count) - count, count)  # from 0 within the clip
        kept = np.ceil(self.top_fraction * count - 1e-9)  # [clips]
        top = frames[place < kept[clip[frames]]]
        total = np.bincount(clip[top], weights=utility[top], minlength=clips)  # [clips]
        return total / np.maximum(kept, 1)


def _smallest_in_group(hashes: npt.NDArray[np.uint64], group: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    """Smallest hash of each frame's group, ``[N]``."""
    smallest = np.full(int(group.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, group, hashes)
    return smallest[group]
