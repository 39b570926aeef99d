"""The frame of largest value where values are costly and never grow: distances, marginal gains.

Letters: N frames, L frames on a short list. A *place* is a frame's rank by hash: whatever is computed is computed place
by place, so the order of the candidates cannot bend it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from mtal.acquisition.embedding import ROWS
from mtal.acquisition.threads import in_pieces, one_thread

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_LIST = 1024  # frames on the short list
_FIRST = 8  # frames settled at once to begin with


class UpperBounds(ABC):
    """A value per frame that never grows from pick to pick: an upper bound for all, the exact value for those asked.

    A pick is only written down. Bounds learn of it when asked, for the places asked, many picks at a time. In a pool so
    small that this does not pay every value is known at any time.

    Args:
        hashes: ``[N]`` from :func:`~mtal.acquisition.selectors.tie_break.tie_break`.
        bound: ``[N]`` ≥ 0 by position, before the first pick.
        measures_all: every bound is the exact value at any time.

    Attributes:
        by_hash: ``[N]`` positions in the order of their hashes: place to position.
        bound: ``[N]`` ≥ 0 by place.
        picks: positions.
    """

    def __init__(self, hashes: npt.NDArray[np.uint64], bound: Floats, measures_all: bool) -> None:
        self.by_hash = np.argsort(hashes, kind="stable")  # [N]
        self.bound = bound[self.by_hash]  # [N]
        self.measures_all = measures_all
        self.picks: list[int] = []
        self._seen = np.zeros(len(hashes), dtype=np.int32)  # [N], picks that the bound knows of

    @property
    def pending(self) -> int:
        """Picks that some bound does not know of."""
        return len(self.picks) - int(self._seen.min(initial=len(self.picks)))

    def add(self, position: int) -> None:
        """Note the pick of the frame at ``position``."""
        self.picks.append(position)
        if self.measures_all:
            with one_thread():
                self._measure(position)
            self._seen[:] = len(self.picks)

    def stale(self, places: Places) -> npt.NDArray[np.bool_]:
        """Whether the bounds at ``places`` do not know of all picks."""
        return self._seen[places] < len(self.picks)

    def catch_up(self, places: Places | None = None) -> None:
        """Let the bounds at ``places`` know of all picks as far as that is cheap; all of them where none are given."""
        if places is None:
            places = np.arange(len(self.bound))
        first = int(self._seen[places].min(initial=len(self.picks)))
        if first < len(self.picks):
            self._lower(places, first)
            self._seen[places] = len(self.picks)

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
    def _exact(self, places: Places) -> Floats:
        """The values at a few thousand places."""

    @abstractmethod
    def _lower(self, places: Places, first: int) -> None:
        """Let the bounds at ``places`` know of the picks from number ``first`` on."""

    @abstractmethod
    def _measure(self, position: int) -> None:
        """Keep all bounds exact after the pick of ``position``."""


def pieces(places: Places) -> list[Places]:
    """As many places at a time as are compared at once."""
    return np.split(places, range(ROWS, len(places), ROWS))


class LazyArgmax:
    """argmax of values that never grow, the smallest hash among equals: the answer of knowing every value.

    A frame whose exact value is the largest of all bounds has the largest value, whatever the others' exact values are
    (Minoux, 1978). Only a short list of the largest bounds is looked at; it is made anew when the best one in it is no
    longer beyond the bounds outside.

    Args:
        values: of the frames; the caller lets them know of each answer.
    """

    def __init__(self, values: UpperBounds) -> None:
        self._values = values
        self._places = np.zeros(0, dtype=np.intp)  # [L] ascending
        self._settled = np.zeros(0, dtype=bool)  # [L] whose bound is the exact value
        self._limit = (np.inf, 0)  # nothing outside comes before this value, and at this value before this place
        self._listed = np.zeros(len(values.bound), dtype=bool)  # [N] by position, what was allowed then

    def next(self, allowed: npt.NDArray[np.bool_]) -> int:
        """Position of the largest value of those allowed, ``[N]`` by position, some true."""
        if self._values.measures_all:
            by_hash = self._values.by_hash
            return int(by_hash[np.argmax(np.where(allowed[by_hash], self._values.bound, -1.0))])
        if (allowed > self._listed).any():
            self._list(allowed)
        self._settled &= ~self._values.stale(self._places)
        while True:
            place = self._best_listed(allowed)
            if place is not None:
                return int(self._values.by_hash[place])
            self._list(allowed)

    def _best_listed(self, allowed: npt.NDArray[np.bool_]) -> int | None:
        """The place of the largest allowed value, ``None`` where it may be outside the list."""
        here = np.flatnonzero(allowed[self._values.by_hash[self._places]])  # into the list
        together = _FIRST
        while len(here):
            value = self._values.bound[self._places[here]]
            top = value.max()
            if (-top, self._places[here[value == top]][0]) > (-self._limit[0], self._limit[1]):
                return None
            if self._settled[here[value == top]].all():
                return int(self._places[here[np.argmax(value)]])
            open_ = here[~self._settled[here]]
            largest = open_[np.argsort(-self._values.bound[self._places[open_]], kind="stable")[:together]]
            self._values.settle(self._places[largest])
            self._settled[largest] = True
            together *= 2
        return None

    def _list(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Make the short list of the allowed frames of largest bound, none of which is stale."""
        reach = _LIST
        by_place = allowed[self._values.by_hash]  # [N]
        while True:
            bound = np.where(by_place, self._values.bound, -1.0)  # [N]
            self._places, self._limit = _largest_places(bound, _LIST)
            if not self._values.stale(self._places).any():
                break
            places, _ = _largest_places(bound, reach)
            self._values.catch_up(places[self._values.stale(places)])
            reach *= 2  # where many bounds fall, more are next
        self._settled = np.zeros(len(self._places), dtype=bool)
        self._listed = allowed


def _largest_places(bound: Floats, size: int) -> tuple[Places, tuple[float, int]]:
    """Places of the ``size`` largest that are not negative, ascending, and what the first one left out can be."""
    size = min(size, int((bound >= 0).sum()))
    if size == (bound >= 0).sum():
        return np.flatnonzero(bound >= 0), (-1.0, 0)
    least = np.partition(bound, len(bound) - size)[len(bound) - size]
    above, level = np.flatnonzero(bound > least), np.flatnonzero(bound == least)
    kept, left_out = np.split(level, [size - len(above)])
    return np.sort(np.concatenate([above, kept])), (float(least), int(left_out[0]) if len(left_out) else len(bound))
