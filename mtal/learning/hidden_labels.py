"""Labels of the pool that nobody has given yet: for bounds in simulations, and for nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mtal.acquisition import Acquisition
from mtal.annotation import Oracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.learning.presence import shows
from mtal.tasks.task import Task


class HiddenLabels:
    """Which classes frames of the pool show, as the data set knows it; each mask is read once.

    Args:
        dataset: frames, splits and labels.
        tasks: the heads.
        size: (H, W) of the masks.
    """

    def __init__(self, dataset: SurgicalDataset, tasks: Sequence[Task], size: tuple[int, int]) -> None:
        self._dataset, self._size = dataset, size
        self._tasks = [t for t in tasks if t.weight > 0]
        table = dataset.index.table
        self._pool = set(table.loc[table["split"] == "pool", "frame_id"])
        self._found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}

    def __call__(self, frame_ids: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
        """Task to ``[N, C]``, see :func:`~mtal.learning.presence.shows`.

        Raises:
            ValueError: a frame is not of the pool.
        """
        others = [f for f in frame_ids if f not in self._pool]
        if others:
            raise ValueError(f"{len(others)} frames are not of the pool, such as {others[0]}: their labels stay hidden")
        unread = [f for f in frame_ids if f not in self._found]
        if unread:
            read = {t.name: shows(t, self._dataset.labels.targets(t.name, unread, self._size)) for t in self._tasks}
            self._found |= {f: {task: y[i] for task, y in read.items()} for i, f in enumerate(unread)}
        return {t.name: np.stack([self._found[f][t.name] for f in frame_ids]) for t in self._tasks}


def hidden_labels(
    acquisition: Acquisition, oracle: Oracle, dataset: SurgicalDataset, tasks: Sequence[Task], size: tuple[int, int]
) -> HiddenLabels | None:
    """What the selector may read of hidden labels; ``None`` where it does not.

    Raises:
        ValueError: it would, and people are asked.
    """
    if "hidden" not in acquisition.selector_needs:
        return None
    if oracle.asks_people:
        raise ValueError(
            f"{type(acquisition.selection.selector).__name__} reads labels that nobody has given yet: it is a bound "
            "for simulations, and people are asked here; choose another strategy, or oracle=simulated"
        )
    return HiddenLabels(dataset, tasks, size)
