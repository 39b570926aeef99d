"""What the learning loop asks of annotators, real or simulated."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from mtal.annotation.availability import Availability
from mtal.annotation.request import Request, Status
from mtal.annotation.view import LabelView
from mtal.datasets.label_table import LabelTable
from mtal.frames.index import FrameIds

_log = logging.getLogger(__name__)


class LabelsPendingError(Exception):
    """The annotators are not done: the run stops politely, and the same command goes on once the labels are in.

    The message says what to do next.
    """


class AwayError(ConnectionError):
    """The place where annotators work does not answer; nothing is lost, and the same command goes on.

    The message says who does not, and why.
    """


class Oracle(Protocol):
    """Labels frames for every task together."""

    @property
    def asks_people(self) -> bool:
        """The answers come in time, may be corrected, and may be for held-out frames."""
        ...

    @property
    def answers(self) -> LabelTable | None:
        """What people have answered, as it was collected; ``None`` where the data set has all that is known."""
        ...

    @property
    def view(self) -> LabelView | None:
        """All that each of them said and how long it took, likewise."""
        ...

    @property
    def digest(self) -> str:
        """Of all labels as they were collected; ``""`` where the data set has them."""
        ...

    @property
    def poll_s(self) -> float | None:
        """Seconds between looks at answers that are waited for; ``None`` to end and be called again."""
        ...

    def availability(self, frame_ids: FrameIds, tasks: Sequence[str]) -> Availability:
        """What can be asked of ``frame_ids`` and what nobody can answer, head by head; nothing is asked yet."""
        ...

    def ask(self, request: Request) -> None:
        """Ask for labels; a request that was asked is not asked again."""
        ...

    def collect(self) -> None:
        """Take in all answers that are there.

        Raises:
            ValueError: answers are wrong; all that are not have been taken in.
        """
        ...

    def status(self, request: Request) -> Status:
        """How far the annotators are, by what has been collected."""
        ...

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> Mapping[str, np.ndarray]:
        """Labels by task for ``frame_ids`` in the order asked, as they were collected.

        Args:
            frame_ids: frames to label, N of them.
            size: height and width of the masks.

        Returns:
            uint8 arrays, 255 = not annotated: ``[N, C]`` or ``[N]`` for a frame task, ``[N, H, W]`` for a pixel task.

        Raises:
            LabelsPendingError: some labels are not there yet.
        """
        ...


def settle(oracle: Oracle, request: Request, note: Callable[[Request, Status], None] | None = None) -> None:
    """Ask, and come back once all is answered.

    Args:
        oracle: who is asked.
        request: for what.
        note: told at each look how far they are.

    Raises:
        AwayError: nobody can be asked, and nobody is to wait.
        LabelsPendingError: some answers are owed, and nobody is to wait.
        ValueError: answers are wrong.
    """
    asked, told = False, ""
    while True:
        try:
            if not asked:
                oracle.ask(request)
                asked = True
            oracle.collect()
        except AwayError as away:
            if oracle.poll_s is None:
                raise
            if told != str(away):
                _log.warning("%s; trying again every %g s", away, oracle.poll_s)
            told = str(away)
        else:
            told = ""
            status = oracle.status(request)
            if note is not None:
                note(request, status)
            if not any(status.owed.values()):
                return
            if oracle.poll_s is None:
                raise LabelsPendingError(status.told(request.title))
        time.sleep(oracle.poll_s)
