"""Frames spread over the time lines of all videos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import largest

Floats = npt.NDArray[np.float64]


class UniformInTime(Selector):
    """argmaxᵢ of the spacing that a pick at tᵢ leaves: min(seconds to the picks before and after it in its video).

    Labelled frames count as picks, so that a later round goes on between those of the rounds before.

    Farthest-first traversal (Gonzalez, TCS 1985) of the time lines. The beginning and the end of a video count twice
    the seconds to them, so that a pick stands for as much time on either side: a video's first pick is its middle, the
    next two are at 1/6 and 5/6. Long videos get frames in proportion to their duration. No model is needed, and
    because neighbouring frames look alike it is a baseline harder to beat than chance.

    Cost: O(b·N).

    >>> from mtal.acquisition.moments import Moments
    >>> moments = Moments(np.zeros(13), np.arange(13.0))
    >>> candidates = Candidates(np.arange(13, dtype=np.uint64), moments=moments)
    >>> UniformInTime()(candidates, 3, np.random.default_rng(0)).tolist()
    [6, 2, 10]
    """

    needs = frozenset({"moments"})
    because: ClassVar[str] = "far in time from the labelled frames and the other picks"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame that is farthest from the picks and the labelled frames in time."""
        if candidates.moments is None:
            raise ValueError("the candidates bring no moments")
        video, time_s = candidates.moments.video, candidates.moments.time_s
        by_time = np.lexsort((time_s, video))  # [N]
        lines = np.split(by_time, np.flatnonzero(np.diff(video[by_time])) + 1)
        line_of = np.empty(len(video), dtype=np.intp)  # [N]
        before_s, after_s = np.empty(len(video)), np.empty(len(video))  # [N]
        labelled = candidates.labelled_moments or candidates.moments.take(slice(0))
        labelled = labelled.take(np.lexsort((labelled.time_s, labelled.video)))
        of_lines = np.array([video[line[0]] for line in lines], dtype=np.int64)
        first, last = (np.searchsorted(labelled.video, of_lines, side) for side in ("left", "right"))
        for number, line in enumerate(lines):
            line_of[line] = number
            before_s[line], after_s[line] = _from_the_start(time_s[line], labelled.time_s[first[number] : last[number]])
        spacing = np.minimum(before_s, after_s)  # [N]
        while True:
            pick = largest(spacing, constraint.allowed(), candidates.tie_break)
            yield pick
            line = lines[line_of[pick]]
            apart = time_s[line] - time_s[pick]  # frames of the line
            before_s[line] = np.where(apart >= 0, np.minimum(before_s[line], apart), before_s[line])
            after_s[line] = np.where(apart <= 0, np.minimum(after_s[line], -apart), after_s[line])
            spacing[line] = np.minimum(before_s[line], after_s[line])


def _from_the_start(time_s: Floats, labelled_s: Floats) -> tuple[Floats, Floats]:
    """Seconds to what lies before and after each frame of a video: labelled frames, or the ends, which count twice.

    Args:
        time_s: ``[n]`` of the candidates, rising.
        labelled_s: ``[m]`` of the labelled frames, rising; the video may begin or end with one.
    """
    both = np.concatenate([time_s, labelled_s])
    before_s, after_s = 2 * (time_s - both.min()), 2 * (both.max() - time_s)
    if len(labelled_s):
        at = np.searchsorted(labelled_s, time_s, side="right")  # so many lie no later
        one_before, one_after = at > 0, at < len(labelled_s)
        since = time_s[one_before] - labelled_s[at[one_before] - 1]
        until = labelled_s[at[one_after]] - time_s[one_after]
        before_s[one_before] = np.minimum(before_s[one_before], since)
        after_s[one_after] = np.minimum(after_s[one_after], until)
    return before_s, after_s
