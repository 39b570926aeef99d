"""The simulated annotator: reveals labels that the data set already has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtal.datasets.dataset import SurgicalDataset


class SimulatedOracle:
    """Reveals the hidden labels of a fully labelled data set, all tasks of a frame at once.

    Args:
        dataset: the data set that holds them.
    """

    def __init__(self, dataset: SurgicalDataset) -> None:
        self._dataset = dataset

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> dict[str, np.ndarray]:
        """See :class:`~mtal.annotation.oracle.Oracle`; never pending."""
        labels = self._dataset.labels
        return {m.task: labels.targets(m.task, frame_ids, size) for m in self._dataset.label_maps}
