"""Which of several that score gets which segment: one that fails fast must not go through all of them first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence

from mtal.scoring.segments import Segment

_IN_A_ROW = 2  # failures after which others come first


class Conduct:
    """What has become of the segments of one pass, by who scored them.

    The disk or the GPU of one may be broken, and the segments whole. Who fails twice in a row stands back while others
    finish some, four at first and twice as many with each further failure. A segment that failed goes to somebody else,
    and so do the last ones, where the last of somebody has failed. All of it only where there is somebody else.
    """

    def __init__(self) -> None:
        self._failed: dict[Hashable, int] = defaultdict(int)  # in a row
        self._back_at: dict[Hashable, int] = {}
        self._failed_with: dict[Segment, set[Hashable]] = defaultdict(set)
        self._done = 0

    def note(self, who: Hashable, segment: Segment, *, failed: bool) -> None:
        """What became of a segment."""
        if failed:
            self._failed[who] += 1
            self._back_at[who] = self._done + 2 ** self._failed[who]
            self._failed_with[segment].add(who)
        else:
            self._done += 1
            self._failed[who] = 0

    def choose(self, who: Hashable, waiting: Sequence[Segment], crew: Collection[Hashable]) -> Segment | None:
        """The first segment that is for this one; ``None`` leaves all to others.

        Args:
            who: has nothing to do.
            waiting: to be scored, in order.
            crew: all that are at work, wait or will come.
        """
        others = {other for other in crew if other != who and not self.stands_back(other)}
        better = {other for other in others if not self._failed[other]}
        if others and self.stands_back(who):
            return None
        if self._failed[who] and len(better) >= len(waiting):
            return None
        return next((s for s in waiting if who not in self._failed_with[s] or others <= self._failed_with[s]), None)

    def stands_back(self, who: Hashable) -> bool:
        """Whether others come first."""
        return self._failed[who] >= _IN_A_ROW and self._done < self._back_at[who]
