"""An order for frames of equal utility that no file, dictionary or video order can bend."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

_FRONT = 64  # positions looked at first
_BLOCK = 4096  # positions looked at or sorted at once


def tie_break(seed: int, frame_ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """blake2b(seed, frame_id): one number per frame, the same on every machine and for every order of the frames.

    Frames are ordered by (−utility, this number).

    >>> a, b = tie_break(0, ["video01/000025", "video01/000050"]).tolist()
    >>> a != b and tie_break(0, ["video01/000025"]).tolist() == [a]
    True
    """
    start = blake2b(f"{seed}\0".encode(), digest_size=8)

    def number(frame_id: str) -> int:
        own = start.copy()
        own.update(frame_id.encode())
        return int.from_bytes(own.digest(), "big")

    return np.fromiter(map(number, frame_ids), dtype=np.uint64)


def largest(
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    hashes: npt.NDArray[np.uint64],
    rounding: float = 0.0,
) -> int:
    """Position of the largest of the allowed values, the smallest hash first among equals.

    Args:
        values: ``[N]``; what is not allowed is not looked at and may be NaN.
        allowed: ``[N]`` bool, at least one true.
        hashes: ``[N]`` from :func:`tie_break`.
        rounding: values less than this part of the largest below it count as equal to it, where they come out of sums
            whose order is not fixed.

    >>> largest(np.array([2.0, 5.0, 5.0]), np.array([True, True, True]), np.array([7, 9, 8], dtype=np.uint64))
    2
    """
    among = np.where(allowed, values, -np.inf)  # [N]
    top = among.max()
    if rounding:
        top -= rounding * abs(top)
    best = np.flatnonzero(allowed & (among >= top))
    return int(best[np.argmin(hashes[best])])


def first_allowed(order: npt.NDArray[np.intp], allowed: npt.NDArray[np.bool_]) -> int:
    """The first of the positions ``order`` that is allowed; at least one must be.

    >>> first_allowed(np.array([2, 0, 1]), np.array([True, True, False]))
    0
    """
    place = _first_place(order, allowed)
    if place < 0:
        raise ValueError("none of the positions is allowed")
    return int(order[place])


def _first_place(order: npt.NDArray[np.intp], allowed: npt.NDArray[np.bool_]) -> int:
    """Where in ``order`` the first allowed position stands, -1 where none is; what is near the front is found soon."""
    start, size = 0, _FRONT
    while start < len(order):
        hits = allowed[order[start : start + size]]
        first = int(hits.argmax())
        if hits[first]:
            return start + first
        start, size = start + size, min(8 * size, _BLOCK)
    return -1


class Ranking:
    """Positions from the largest value to the smallest, the smallest hash first among equals.

    Only as much is sorted as is asked for, so a batch from a pool of a million costs one pass over it.

    Args:
        values: ``[N]``; NaN comes last.
        hashes: ``[N]`` from :func:`tie_break`.

    >>> ranking = Ranking(np.array([2.0, 5.0, 5.0]), np.array([7, 9, 8], dtype=np.uint64))
    >>> ranking.first(np.array([True, True, False]))
    1
    """

    def __init__(self, values: npt.NDArray[np.float64], hashes: npt.NDArray[np.uint64]) -> None:
        self._values = np.where(np.isnan(values), -np.inf, values)
        self._hashes = hashes
        self._sorted = self._top(_BLOCK)

    def first(self, allowed: npt.NDArray[np.bool_]) -> int:
        """The first allowed position; ``[N]`` bool, at least one true."""
        while _first_place(self._sorted, allowed) < 0 and len(self._sorted) < len(self._values):
            self._sorted = self._top(8 * len(self._sorted))
        return first_allowed(self._sorted, allowed)

    def _top(self, count: int) -> npt.NDArray[np.intp]:
        return leading(self._values, self._hashes, count)


def leading(values: npt.NDArray[np.float64], hashes: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.intp]:
    """The ``count`` first positions in that order, more where values are equal to the last of them; no value is NaN.

    >>> leading(np.array([2.0, 5.0, 5.0]), np.array([7, 9, 8], dtype=np.uint64), 1).tolist()
    [2, 1]
    """
    size = len(values)
    if count < size:
        top = np.flatnonzero(values >= np.partition(values, size - count)[size - count])
    else:
        top = np.arange(size)
    return top[np.lexsort((hashes[top], -values[top]))]
