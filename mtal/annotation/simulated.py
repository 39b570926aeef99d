"""The simulated annotator: reveals labels that the data set already has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtal.annotation.availability import Availability, State
from mtal.annotation.request import Request, Status
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.index import FrameIds


class SimulatedOracle:
    """Reveals the hidden labels of a data set, all tasks of a frame at once; what it does not hold nobody can answer.

    Args:
        dataset: the data set that holds them.
    """

    asks_people = False
    answers = None
    view = None
    digest = ""
    poll_s: float | None = None

    def __init__(self, dataset: SurgicalDataset) -> None:
        self._dataset = dataset

    def availability(self, frame_ids: FrameIds, tasks: Sequence[str]) -> Availability:
        """See :class:`~mtal.annotation.oracle.Oracle`; whether there is a label is looked up, not what it says."""
        known = [self._dataset.labels.labelled(task, frame_ids) for task in tasks]  # T of [N]
        states = np.where(np.array(known).T, State.ASKABLE, State.NEVER)  # [N, T]
        return Availability(frame_ids, tasks, states)

    def ask(self, request: Request) -> None:
        """Nothing has to be told to a data set."""

    def collect(self) -> None:
        """All answers are there."""

    def status(self, request: Request) -> Status:
        """See :class:`~mtal.annotation.oracle.Oracle`; nothing is ever owed."""
        return Status(len(request.frames), len(request.frames), where="the data set")

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> dict[str, np.ndarray]:
        """See :class:`~mtal.annotation.oracle.Oracle`; never pending."""
        labels = self._dataset.labels
        return {m.task: labels.targets(m.task, frame_ids, size) for m in self._dataset.label_maps}
