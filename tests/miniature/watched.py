"""Labels that nobody may look at before they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtal.annotation import SimulatedOracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE
from mtal.datasets.label_table import LabelTable


class WatchedLabels(LabelTable):
    """The labels of a data set; reading one of a frame of the pool that was not asked for is an error.

    Whether there is a label may be looked up at any time.

    Args:
        labels: of the data set.
        pool: frames whose labels are watched.
        missing: task to frames that nobody can label.

    Attributes:
        asked: frames that were asked for so far.
    """

    def __init__(
        self, labels: LabelTable, pool: Collection[str], missing: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.__dict__.update(labels.__dict__)
        self._whole, self._pool, self._missing = labels, frozenset(pool), missing or {}
        self.asked: set[str] = set()

    def targets(self, task: str, frame_ids: Sequence[str], size: tuple[int, int] | None = None) -> np.ndarray:
        """See :class:`LabelTable`."""
        unasked = [f for f in frame_ids if f in self._pool and f not in self.asked]
        if unasked:
            raise AssertionError(f"{task} was read of {len(unasked)} frames that nobody asked for: {unasked[:3]}")
        labels = self._whole.targets(task, frame_ids, size).copy()
        labels[[f in self._missing.get(task, ()) for f in frame_ids]] = IGNORE
        return labels

    def labelled(self, task: str, frame_ids: Sequence[str]) -> np.ndarray:
        """See :class:`LabelTable`."""
        there = np.array([f not in self._missing.get(task, ()) for f in frame_ids], dtype=bool)
        return self._whole.labelled(task, frame_ids) & there


class WatchedOracle(SimulatedOracle):
    """Asks for what it is asked to label."""

    def __init__(self, dataset: SurgicalDataset) -> None:
        super().__init__(dataset)
        self._labels = dataset.labels

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> dict[str, np.ndarray]:
        """See :class:`SimulatedOracle`."""
        assert isinstance(self._labels, WatchedLabels)
        self._labels.asked |= set(frame_ids)
        return super().label(frame_ids, size)


def watched(dataset: SurgicalDataset, missing: Mapping[str, Collection[str]] | None = None) -> SurgicalDataset:
    """The same data set with labels that are watched, and without those that are missing."""
    pool = dataset.index.split("pool").frame_ids
    return replace(dataset, labels=WatchedLabels(dataset.labels, pool, missing))
