"""What is known, can be known and never will be known of each frame, head by head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.frames.index import FrameIds, positions


class State(IntEnum):
    """Of one head's labels of one frame.

    ``LABELLED`` says that there is an answer, "nothing there" among them. ``NEVER`` says that there will be none:
    nobody can answer, or the frame was found unusable.
    """

    NEVER = 0
    ASKABLE = 1
    ASKED = 2
    LABELLED = 3


class Availability:
    """The :class:`State` of every frame and head.

    All that decides who is asked for what looks here: candidates are the frames with an askable head that counts,
    budgets count the heads that are still askable, and signals leave out the heads that are not.

    Args:
        frame_ids: N frames, in the order of the rows.
        tasks: T heads, in the order of the columns.
        states: ``[N, T]`` of :class:`State`; all askable where ``None``.

    Raises:
        ValueError: a frame or head stands twice, or the states are of other frames or heads.

    >>> labels = Availability(["a/000000", "a/000025"], ["tools", "anatomy"])
    >>> labels.mark(["a/000000"], State.LABELLED)
    >>> labels.mark(["a/000025"], State.NEVER, ["anatomy"])
    >>> labels.askable(["a/000000", "a/000025"]).tolist()
    [[False, False], [True, False]]
    """

    def __init__(self, frame_ids: FrameIds, tasks: Sequence[str], states: npt.NDArray[np.uint8] | None = None) -> None:
        self.tasks = tuple(tasks)
        self.frame_ids = pd.Series(frame_ids, dtype="str").reset_index(drop=True)
        self._column = {t: i for i, t in enumerate(self.tasks)}
        if self.frame_ids.duplicated().any() or len(self._column) != len(self.tasks):
            raise ValueError("a frame or a head stands twice in the availability of labels")
        shape = (len(self.frame_ids), len(self.tasks))
        self._states = np.full(shape, State.ASKABLE, dtype=np.uint8) if states is None else np.array(states, np.uint8)
        if self._states.shape != shape:
            raise ValueError(f"states must be {list(shape)}, not {list(self._states.shape)}")

    def __len__(self) -> int:
        return len(self.frame_ids)

    def askable_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which heads of the frames in these rows an annotator could be asked for, ``[N, T]``."""
        return self._states[rows] == State.ASKABLE

    def counted(self, tasks: Iterable[str]) -> npt.NDArray[np.int64]:
        """How many heads among ``tasks`` the frame of each row can be asked for, ``[rows]``."""
        askable = self._states[:, self._columns(tasks)] == State.ASKABLE
        return np.asarray(askable.sum(axis=1), dtype=np.int64)

    def states(self, frame_ids: FrameIds) -> npt.NDArray[np.uint8]:
        """:class:`State` of N frames in the order asked, ``[N, T]``.

        Raises:
            KeyError: a frame is not known.
        """
        return self._states[self._rows(frame_ids)]

    def askable(self, frame_ids: FrameIds) -> npt.NDArray[np.bool_]:
        """Which heads of N frames an annotator could be asked for, ``[N, T]``."""
        return self.states(frame_ids) == State.ASKABLE

    def mark(self, frame_ids: FrameIds, state: State, tasks: Iterable[str] | None = None) -> None:
        """Give frames a state, under all heads or under some."""
        columns = self._columns(self.tasks if tasks is None else tasks)
        self._states[np.ix_(self._rows(frame_ids), columns)] = state

    def answered(
        self,
        frame_ids: FrameIds,
        known: Mapping[str, npt.NDArray[np.bool_]],
        asked: Mapping[str, npt.NDArray[np.bool_]],
    ) -> None:
        """Take note of answers: labelled where a head got any, and never where it was asked for and got none.

        Args:
            frame_ids: N frames.
            known: head to whether each frame got a label, ``[N]``.
            asked: head to whether each frame was asked for it, ``[N]``.
        """
        rows = self._rows(frame_ids)
        for task, got in known.items():
            column = self._column[task]
            nothing = np.where(asked[task], State.NEVER, self._states[rows, column])
            self._states[rows, column] = np.where(got, State.LABELLED, nothing)

    def _rows(self, frame_ids: FrameIds) -> npt.NDArray[np.int64]:
        return positions(self.frame_ids, frame_ids, "the availability of labels")

    def _columns(self, tasks: Iterable[str]) -> npt.NDArray[np.int64]:
        return np.array([self._column[t] for t in tasks], dtype=np.int64)
