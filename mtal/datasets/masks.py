"""Labels of many frames without one array of them all: masks are kept one by one, or read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mtal.datasets.label_map import IGNORE
from mtal.datasets.runs import Runs

Labels = npt.NDArray[np.uint8]
Rows = npt.NDArray[Any] | slice | Sequence[int]


class Masks:
    """Labels of n frames, indexed by rows like an array ``[n, …]``; a frame without a label takes no room.

    Args:
        masks: of each frame, all of one shape; ``None`` where nobody labelled anything.
        shape: of one of them.

    >>> masks = Masks([None, np.array([[0, 1]], dtype=np.uint8)], (1, 2))
    >>> masks[[1, 0]].tolist()
    [[[0, 1]], [[255, 255]]]
    >>> masks.labelled.tolist()
    [False, True]
    """

    def __init__(self, masks: Sequence[Labels | None], shape: tuple[int, ...]) -> None:
        self._masks = list(masks)
        self.shape = (len(self._masks), *shape)

    @classmethod
    def of(cls, labels: Labels) -> Masks:
        """Of ``[n, …]``; rows in which all is ``IGNORE`` are let go."""
        known = (labels != IGNORE).reshape(len(labels), -1).any(axis=1)
        return cls([y.copy() if some else None for y, some in zip(labels, known, strict=True)], labels.shape[1:])

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, rows: Rows) -> Labels:
        """Labels of k frames in the order of ``rows``, ``[k, …]``."""
        chosen = np.arange(len(self))[rows]
        found = np.full((len(chosen), *self.shape[1:]), IGNORE, dtype=np.uint8)
        for i, row in enumerate(chosen.tolist()):
            mask = self._masks[row]
            if mask is not None:
                found[i] = mask
        return found

    def __iter__(self) -> Iterator[Labels]:
        return (self[[row]][0] for row in range(len(self)))

    def __add__(self, other: Masks) -> Masks:
        return Masks(self._masks + other._masks, self.shape[1:])

    def take(self, rows: Rows) -> Masks:
        """The frames at ``rows``, whose masks are shared and not copied."""
        return Masks([self._masks[row] for row in np.arange(len(self))[rows].tolist()], self.shape[1:])

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which frames have a label, ``[n]``."""
        return np.array([mask is not None for mask in self._masks], dtype=bool)


class ReadMasks(Masks):
    """The same, each read when it is first asked for; so many are kept as ``keep_bytes`` hold.

    Args:
        read: rows to their labels, ``[k, …]``.
        frames: n.
        shape: of the labels of one frame.
        keep_bytes: beyond these, labels are read again each time.
    """

    def __init__(
        self,
        read: Callable[[npt.NDArray[np.int64]], Labels],
        frames: int,
        shape: tuple[int, ...],
        keep_bytes: int = 2**28,
    ) -> None:
        super().__init__([None] * frames, shape)
        self._read = read
        self._was_read = np.zeros(frames, dtype=bool)
        self._room = keep_bytes

    def __getitem__(self, rows: Rows) -> Labels:
        chosen = np.arange(len(self))[rows]
        found = super().__getitem__(chosen)
        new = np.flatnonzero(~self._was_read[chosen])
        if len(new):
            found[new] = self._read(chosen[new])
            for i in new.tolist():
                self._keep(int(chosen[i]), found[i])
        return found

    def _keep(self, row: int, labels: Labels) -> None:
        empty = bool((labels == IGNORE).all())
        if not empty and labels.nbytes > self._room:
            return
        self._masks[row] = None if empty else labels.copy()
        self._room -= 0 if empty or self._was_read[row] else labels.nbytes
        self._was_read[row] = True

    def take(self, rows: Rows) -> Masks:
        """The frames at ``rows``, read as they are asked for."""
        chosen = np.arange(len(self))[rows]
        return ReadMasks(lambda some: self[chosen[some]], len(chosen), self.shape[1:], keep_bytes=0)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which frames have a label, ``[n]``; all have to be looked at."""
        return np.array([bool((labels != IGNORE).any()) for labels in self], dtype=bool)


class OwnSizeMasks:
    """Masks of n frames, each of its own size, read when it is first asked for and kept as runs after that.

    A mask is a few large areas: as runs of equal pixels it takes a twentieth of its room or less.

    Args:
        read: row to its mask, ``[H, W]`` or ``[C, H, W]``; ``None`` where nobody labelled anything.
        frames: n.
        keep_bytes: beyond these, masks are read again each time.

    >>> masks = OwnSizeMasks(lambda row: np.full((1, row), 7, dtype=np.uint8) if row else None, frames=3)
    >>> masks.of(2).tolist(), masks.of(0)
    ([[7, 7]], None)
    """

    def __init__(self, read: Callable[[int], Labels | None], frames: int, keep_bytes: int = 2**28) -> None:
        self._read = read
        self._frames = frames
        self._room = keep_bytes
        self._kept: dict[int, Runs | None] = {}

    def __len__(self) -> int:
        return self._frames

    def of(self, row: int) -> Labels | None:
        """The mask of one frame; ``None`` where all of it is ``IGNORE``."""
        runs = self.runs(row)
        return None if runs is None else runs.pixels()

    def runs(self, row: int) -> Runs | None:
        """The same as runs of equal pixels."""
        if row in self._kept:
            return self._kept[row]
        mask = self._read(row)
        runs = None if mask is None or (mask == IGNORE).all() else Runs.of(mask)
        size = 0 if runs is None else runs.nbytes
        if size <= self._room:
            self._kept[row] = runs
            self._room -= size
        return runs

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which frames have a label, ``[n]``; all have to be looked at."""
        return np.array([self.of(row) is not None for row in range(len(self))], dtype=bool)

    def __iter__(self) -> Iterator[Labels]:
        nothing = np.full((1, 1), IGNORE, dtype=np.uint8)
        return (nothing if (mask := self.of(row)) is None else mask for row in range(len(self)))


SomeLabels = Labels | Masks
"""Labels of n frames, ``[n, …]`` uint8 with ``IGNORE`` where nobody labelled: an array, or masks one by one."""

HeldOut = SomeLabels | OwnSizeMasks
"""Labels of held-out frames: at the size of the model's input, or masks each of its own size."""


def take(labels: SomeLabels, rows: Rows) -> SomeLabels:
    """The frames at ``rows`` without reading any mask."""
    return labels.take(rows) if isinstance(labels, Masks) else labels[rows]


def joined(first: SomeLabels, then: SomeLabels) -> SomeLabels:
    """Labels of the frames of both, one after the other."""
    if isinstance(first, Masks) and isinstance(then, Masks):
        return first + then
    return np.concatenate([first[:], then[:]])


def in_parts(labels: SomeLabels, frames: int = 64) -> Iterator[Labels]:
    """A few frames at a time, ``[≤ frames, …]``."""
    for start in range(0, len(labels), frames):
        yield labels[slice(start, start + frames)]


def labelled_rows(labels: HeldOut) -> npt.NDArray[np.bool_]:
    """Which frames have any label, ``[n]``."""
    if isinstance(labels, Masks | OwnSizeMasks):
        return labels.labelled
    return np.asarray((labels != IGNORE).reshape(len(labels), -1).any(axis=1)) if len(labels) else np.zeros(0, bool)
