"""The frame of largest value where values are costly and never grow: distances, marginal gains.

Letters: N frames, L frames on a short list. A *place* is a frame's rank by hash: whatever is computed is computed place
by place, so the order of the candidates cannot bend it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from mtal.acquisition.embedding import ROWS
from mtal.acquisition.threads import in_pieces

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_LIST = 256  # most frames on the short list
_SHORTEST = 64  # the first list; each later one is twice as long
_FIRST = 8  # frames settled at once to begin with
_REACH = 1024  # bounds brought up to date at once to begin with


class ShortList(ABC):
    """Values of L frames that are kept up to date pick by pick, between ``low`` and ``high``.

    Attributes:
        low: ``[L]``, no more than the value.
        high: ``[L]``, no less than the value; a value is exact where both are equal.
    """

    low: Floats
    high: Floats

    @abstractmethod
    def lower(self, index: int) -> None:
        """Let all of them know that the one at ``index`` is picked."""

    @abstractmethod
    def settle(self, indices: Places) -> None:
        """Make the values at ``indices`` exact."""


class UpperBounds(ABC):
    """A value per frame that never grows from pick to pick: an upper bound for all, the exact value for those asked.

    A pick is only written down. Bounds learn of it when asked, for the places asked, many picks at a time.

    Args:
        hashes: ``[N]`` from :func:`~mtal.acquisition.selectors.tie_break.tie_break`.
        bound: ``[N]`` ≥ 0 by position, before the first pick.

    Attributes:
        by_hash: ``[N]`` positions in the order of their hashes: place to position.
        bound: ``[N]`` ≥ 0 by place.
        picks: positions.
    """

    def __init__(self, hashes: npt.NDArray[np.uint64], bound: Floats) -> None:
        self.by_hash = np.argsort(hashes, kind="stable")  # [N]
        self.bound = bound[self.by_hash]  # [N]
        self.picks: list[int] = []
        self._seen = np.zeros(len(hashes), dtype=np.int32)  # [N], picks that the bound knows of

    @property
    def pending(self) -> int:
        """Picks that some bound does not know of."""
        return len(self.picks) - int(self._seen.min(initial=len(self.picks)))

    def add(self, position: int) -> None:
        """Note the pick of the frame at ``position``."""
        self.picks.append(position)

    def stale(self, places: Places) -> npt.NDArray[np.bool_]:
        """Whether the bounds at ``places`` do not know of all picks."""
        return self._seen[places] < len(self.picks)

    def catch_up(self, places: Places | None = None) -> None:
        """Let the bounds at ``places`` know of all picks as far as that is cheap; all of them where none are given."""
        known = self._seen if places is None else self._seen[places]
        first = int(known.min(initial=len(self.picks)))
        if first < len(self.picks):
            self._lower(places, first)
            self._seen[slice(None) if places is None else places] = len(self.picks)

    def learn(self, places: Places, high: Floats, picks: int) -> None:
        """Take over bounds that know of the first ``picks`` picks."""
        self.bound[places] = np.minimum(self.bound[places], high)
        self._seen[places] = np.maximum(self._seen[places], picks)

    def settle(self, places: Places) -> None:
        """Make the bounds at ``places`` exact."""
        self.bound[places] = self.exact(places)
        self._seen[places] = len(self.picks)

    def exact(self, places: Places) -> Floats:
        """The values at ``places``."""
        values = np.empty(len(places))

        def measure(part: Places) -> None:
            values[part] = self._exact(places[part])

        in_pieces(measure, pieces(np.arange(len(places))))
        return values

    @abstractmethod
    def short_list(self, places: Places) -> ShortList:
        """The values at ``places``, a few hundred, to be kept up to date from now on."""

    @abstractmethod
    def _exact(self, places: Places) -> Floats:
        """The values at a few thousand places."""

    @abstractmethod
    def _lower(self, places: Places | None, first: int) -> None:
        """Let the bounds at ``places`` (``None``: all) know of the picks from number ``first`` on."""


def pieces(places: Places) -> list[Places]:
    """As many places at a time as are compared at once."""
    return np.split(places, range(ROWS, len(places), ROWS)) if len(places) > ROWS else [places]


class LazyArgmax:
    """argmax of values that never grow, the smallest hash among equals: the answer of knowing every value.

    A frame whose value is the largest of all bounds has the largest value, whatever the others' exact values are
    (Minoux, 1978). Only a short list of the largest bounds is kept up to date; it is made anew when the best one in it
    is no longer beyond the bounds outside.

    Args:
        values: of the frames; the caller lets them know of each answer.
    """

    def __init__(self, values: UpperBounds) -> None:
        self._values = values
        self._short: ShortList | None = None
        self._positions = np.zeros(0, dtype=np.intp)  # [L], of the listed frames in the order of their hashes
        self._places = np.zeros(0, dtype=np.intp)  # [L] ascending
        self._size = min(_SHORTEST, _LIST)
        self._limit = (np.inf, 0)  # nothing outside comes before this value, and at this value before this place
        self._listed = np.zeros(len(values.bound), dtype=bool)  # [N] by position, what was allowed then
        self._known = 0  # picks that the list knows of

    def next(self, allowed: npt.NDArray[np.bool_]) -> int:
        """Position of the largest value of those allowed, ``[N]`` by position, some true."""
        self._inform()
        if self._short is None or (allowed > self._listed).any():
            self._list(allowed)
        while True:
            index = self._best_listed(allowed)
            if index is not None:
                return int(self._positions[index])
            self._list(allowed)

    def _inform(self) -> None:
        """Let the list know of the picks since; one from outside ends it."""
        for pick in self._values.picks[self._known :]:
            (index,) = np.nonzero(self._positions == pick)
            if self._short is None or not len(index):
                self._short = None
                return
            self._short.lower(int(index[0]))
            self._known += 1

    def _best_listed(self, allowed: npt.NDArray[np.bool_]) -> int | None:
        """The index of the largest allowed value, ``None`` where it may be outside the list."""
        assert self._short is not None
        here = allowed[self._positions]  # [L]
        together = _FIRST
        while True:
            high = np.where(here, self._short.high, -1.0)  # [L]
            best = int(high.argmax())
            if (-high[best], self._places[best]) > (-self._limit[0], self._limit[1]):
                return None
            (contest,) = (high >= self._short.low[best]).nonzero()
            if len(contest) == 1:
                return best
            open_ = contest[self._short.low[contest] < high[contest]]
            if not len(open_):
                return best
            if len(open_) > together:
                open_ = open_[np.argsort(-high[open_], kind="stable")[:together]]
            self._short.settle(open_)
            together *= 2

    def _list(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Make the short list of the allowed frames of largest bound, none of which is stale."""
        if self._short is not None:
            self._values.learn(self._places, self._short.high, self._known)
        by_place = allowed[self._values.by_hash]  # [N]
        reach = _REACH
        while True:
            bound = np.where(by_place, self._values.bound, -1.0)  # [N]
            self._places, self._limit = _largest_places(bound, self._size)
            if not self._values.stale(self._places).any():
                break
            if 4 * reach >= len(bound):
                self._values.catch_up()
            else:
                places, _ = _largest_places(bound, reach)
                self._values.catch_up(places[self._values.stale(places)])
            reach *= 2  # where many bounds fall, more are next
        self._size = min(2 * self._size, _LIST)
        self._positions = self._values.by_hash[self._places]
        self._short = self._values.short_list(self._places)
        self._listed, self._known = allowed, len(self._values.picks)


def _largest_places(bound: Floats, size: int) -> tuple[Places, tuple[float, int]]:
    """Places of the ``size`` largest that are not negative, ascending, and what the first one left out can be."""
    candidates = int(np.count_nonzero(bound >= 0))
    if size >= candidates:
        return np.flatnonzero(bound >= 0), (-1.0, 0)
    least = np.partition(bound, len(bound) - size)[len(bound) - size]
    above, level = np.flatnonzero(bound > least), np.flatnonzero(bound == least)
    kept, left_out = np.split(level, [size - len(above)])
    return np.sort(np.concatenate([above, kept])), (float(least), int(left_out[0]) if len(left_out) else len(bound))
