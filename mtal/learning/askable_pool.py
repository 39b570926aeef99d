"""Which frames of the pool can still be picked, and which heads each of them can be asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mtal.annotation import Availability
from mtal.frames.index import FrameIndex
from mtal.tasks.task import Task

Rows = npt.NDArray[np.int64]
"""Of the frame index."""


class AskablePool:
    """The pool of a frame index, by what can be asked for.

    An availability is of the pool, in the order of the frame index; everything can be asked for where it is ``None``.

    Args:
        index: all frames.
        tasks: the heads, of which those with a weight count.
    """

    def __init__(self, index: FrameIndex, tasks: Sequence[Task]) -> None:
        self._index = index
        self._pool = index.pool
        self._counting = [t.name for t in tasks if t.weight > 0]

    def candidates(self, labelled: Sequence[str], availability: Availability | None) -> Rows:
        """Frames that are not among the ``labelled`` and of which a head that counts can be asked for, ``[N]``."""
        left = np.zeros(len(self._index), dtype=bool)  # [frames]
        left[self._pool] = True if availability is None else self._counted(availability) > 0
        left[self._index.positions(labelled)] = False
        return np.flatnonzero(left)

    def by_head(self, rows: Rows, availability: Availability | None) -> dict[str, npt.NDArray[np.bool_]]:
        """Whether each head can be asked for in each frame, ``[N]``; nothing where all can."""
        if availability is None:
            return {}
        askable = availability.askable_at(np.searchsorted(self._pool, rows))  # [N, T]
        return dict(zip(availability.tasks, askable.T, strict=True))

    def answers(self, rows: Rows, availability: Availability | None) -> npt.NDArray[np.int64]:
        """How many heads that count each frame would be asked for, ``[N]``."""
        if availability is None:
            return np.full(len(rows), len(self._counting), dtype=np.int64)
        return self._counted(availability)[np.searchsorted(self._pool, rows)]

    def _counted(self, availability: Availability) -> npt.NDArray[np.int64]:
        """How many heads that count each frame of the pool can be asked for."""
        if len(availability) != len(self._pool):
            raise ValueError(f"the availability is of {len(availability)} frames, the pool has {len(self._pool)}")
        return availability.counted(self._counting)
