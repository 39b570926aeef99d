"""What the learning loop asks of annotators, real or simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from mtal.annotation.availability import Availability


class LabelsPendingError(Exception):
    """The annotators are not done: the run stops politely, and the same command goes on once the labels are in.

    The message says what to do next.
    """


class Oracle(Protocol):
    """Labels frames for every task together."""

    def availability(self, frame_ids: Sequence[str], tasks: Sequence[str]) -> Availability:
        """What can be asked of ``frame_ids`` and what nobody can answer, head by head; nothing is asked yet."""
        ...

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> Mapping[str, np.ndarray]:
        """Labels by task for ``frame_ids`` in the order asked; the same answer each time.

        Args:
            frame_ids: frames to label, N of them.
            size: height and width of the masks.

        Returns:
            uint8 arrays, 255 = not annotated: ``[N, C]`` or ``[N]`` for a frame task, ``[N, H, W]`` for a pixel task.

        Raises:
            LabelsPendingError: some labels are not there yet.
        """
        ...
