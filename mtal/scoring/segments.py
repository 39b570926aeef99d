"""The pool in pieces: units of work, of failure and of going on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mtal.refusals import first_of

MOST = 1024
"""Frames of a segment at most, a multiple of the batches that the model looks at."""
FEWEST = 256
"""A segment with fewer takes in the video that follows, so that short videos do not make for small batches."""


@dataclass(frozen=True)
class Segment:
    """Consecutive candidates: a stretch of one video, or several short videos.

    Attributes:
        start: the first row among the candidates.
        stop: the row after the last.
        videos: whose frames these are.
    """

    start: int
    stop: int
    videos: tuple[str, ...]

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{first_of(self.videos)} (candidates {self.start} to {self.stop - 1})"


@dataclass(frozen=True)
class Videos:
    """Whose frames the candidates are; those of one video lie together.

    Args:
        number: ``[N]``, of each candidate's video.
        names: by number.
    """

    number: npt.NDArray[np.integer[Any]]
    names: Sequence[str]

    def segments(self, most: int = MOST, fewest: int = FEWEST) -> list[Segment]:
        """Segments that together are all candidates, in their order.

        They depend on the candidates alone and not on who scores them, so that the model looks at the same batches
        whatever that is: of a frame in another batch it may say something else in the last bits.

        Args:
            most: frames of a segment at most.
            fewest: a segment with fewer goes on with the next video.

        >>> videos = Videos(np.array([0, 0, 0, 0, 0, 1, 1, 2, 2]), ["a", "b", "c"])
        >>> [(len(s), s.videos) for s in videos.segments(most=4, fewest=2)]
        [(4, ('a',)), (3, ('a', 'b')), (2, ('c',))]
        """
        found: list[Segment] = []
        for piece in self._pieces(0, len(self.number), most):
            last = found[-1] if found else None
            if last is not None and len(last) < fewest and len(last) + len(piece) <= most:
                found[-1] = Segment(last.start, piece.stop, tuple(dict.fromkeys(last.videos + piece.videos)))
            else:
                found.append(piece)
        return found

    def apart(self, segment: Segment) -> list[Segment]:
        """A segment of several videos as one of each."""
        return list(self._pieces(segment.start, segment.stop, MOST))

    def _pieces(self, begin: int, end: int, most: int) -> Iterator[Segment]:
        """Stretches of one video each."""
        number = self.number[begin:end]
        cuts = [0, *(np.flatnonzero(number[1:] != number[:-1]) + 1).tolist(), len(number)]
        for first, after in pairwise(cuts):
            for start in range(begin + first, begin + after, most):
                yield Segment(start, min(start + most, begin + after), (str(self.names[self.number[start]]),))
