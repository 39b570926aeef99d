"""The frames that a run is tested on: drawn at random, labelled by the data set or by people, never learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mtal.annotation import Request
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.datasets.masks import HeldOut, Labels, OwnSizeMasks, ReadMasks
from mtal.learning.seeds import numpy_generator
from mtal.tasks.task import Task


def drawn(frame_ids: list[str], count: int | None, seed: int) -> list[str]:
    """So many of the frames at random, so that no model has a hand in it; all where ``None``.

    Raises:
        ValueError: there are fewer.
    """
    if count is None:
        return frame_ids
    if count > len(frame_ids):
        raise ValueError(
            f"loop.test_frames={count}, but {len(frame_ids)} frames are held out; lower it, or hold out more patients"
        )
    at = numpy_generator(seed, 0, "test").choice(len(frame_ids), count, replace=False)
    return [frame_ids[i] for i in sorted(at.tolist())]


def request_unlabelled(dataset: SurgicalDataset, tasks: Sequence[Task], frame_ids: Sequence[str]) -> Request:
    """What the data set does not know of held-out frames, as people are asked for it."""
    asked = np.stack([~dataset.labels.labelled(t.name, frame_ids) for t in tasks], axis=1)  # [N, T]
    rows = np.flatnonzero(asked.any(axis=1))
    frames = dataset.index.select([frame_ids[i] for i in rows.tolist()])
    return Request("held_out", frames, [t.name for t in tasks], asked[rows], held_out=True)


def held_out_targets(
    dataset: SurgicalDataset,
    people: LabelTable | None,
    tasks: Sequence[Task],
    frame_ids: Sequence[str],
    size: tuple[int, int] | None,
) -> dict[str, HeldOut]:
    """Labels of N held-out frames, masks read as they are asked for.

    Args:
        dataset: goes first where it knows a label.
        people: what they have answered; ``None`` where nobody was asked.
        tasks: the heads.
        frame_ids: the frames.
        size: (H, W) of the masks; ``None`` for their own.
    """
    answered = set() if people is None else set(people.frame_ids)

    def read(task: Task) -> HeldOut:
        theirs = np.array([f in answered for f in frame_ids], dtype=bool)  # [N]
        if theirs.any():
            theirs &= ~dataset.labels.labelled(task.name, frame_ids)

        def targets(rows: npt.NDArray[np.int64]) -> Labels:
            found = dataset.labels.targets(task.name, [frame_ids[i] for i in rows.tolist()], size)
            if people is not None and theirs[rows].any():
                some = [frame_ids[i] for i in rows[theirs[rows]].tolist()]
                found[theirs[rows]] = people.targets(task.name, some, size)
            return found

        def mask(row: int) -> Labels | None:
            table = people if people is not None and theirs[row] else dataset.labels
            return table.mask(task.name, frame_ids[row])

        if task.support == "frame":
            return targets(np.arange(len(frame_ids)))
        if size is None:
            return OwnSizeMasks(mask, len(frame_ids))
        layers = () if task.family == "categorical" else (len(task.classes),)
        return ReadMasks(targets, len(frame_ids), (*layers, *size))

    return {t.name: read(t) for t in tasks}
