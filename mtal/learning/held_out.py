"""The frames that a run is tested on: drawn at random, labelled by the data set or by people, never learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from mtal.annotation import Oracle, Request, settle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.datasets.masks import HeldOut, Labels, OwnSizeMasks, ReadMasks
from mtal.frames.cache import FrameArray
from mtal.frames.window import of_rows
from mtal.learning.evaluation import EvaluationSettings, measure
from mtal.learning.fingerprints import label_digests, looks, spread
from mtal.learning.picks import labelled_frames
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import numpy_generator
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs
from mtal.tasks.metrics import PoolMetrics
from mtal.tasks.task import Task


class HeldOutFrames:
    """The frames of the splits ``test`` and ``val``, what is known of them, and how a model does on them.

    Args:
        dataset: frames, splits and label maps.
        frames: their pixels, rows as in the frame index.
        inputs: what the model is fed.
        tasks: the heads.
        oracle: who is asked for what the data set does not know.
        evaluation: how they are scored.
        counts: split → how many of its frames, drawn at random; all where ``None``.
        seed: of the draw.

    Raises:
        ValueError: there are fewer.
    """

    def __init__(
        self,
        dataset: SurgicalDataset,
        frames: FrameArray,
        inputs: Inputs,
        tasks: Sequence[Task],
        oracle: Oracle,
        evaluation: EvaluationSettings,
        counts: Mapping[str, int | None],
        seed: int,
    ) -> None:
        self.dataset, self.frames, self.inputs, self.tasks = dataset, frames, inputs, tasks
        self.oracle, self.evaluation = oracle, evaluation
        table = dataset.index.table
        self._rows = {  # of the frame index
            split: drawn(np.flatnonzero(table["split"] == split), count, seed) for split, count in counts.items()
        }
        self._targets: dict[str, dict[str, HeldOut]] = {}  # as they are read
        self._labelled: dict[str, int] = {}

    @property
    def has_val(self) -> bool:
        """Whether there are frames in the split ``val``."""
        return len(self._rows["val"]) > 0

    def table(self, split: str) -> pd.DataFrame:
        """The split's rows of the frame index."""
        return self.dataset.index.table.iloc[self._rows[split]].reset_index(drop=True)

    def frame_ids(self, split: str) -> list[str]:
        """Its frames."""
        return self.table(split)["frame_id"].tolist()

    def targets(self, split: str) -> dict[str, HeldOut]:
        """Its labels, read as they are asked for: the data set's or, where it has none, people's."""
        if split not in self._targets:
            size = None if self.evaluation.resolution == "labels" else self.frames.size
            people = self.oracle.answers
            self._targets[split] = held_out_targets(self.dataset, people, self.tasks, self.frame_ids(split), size)
        return self._targets[split]

    def labelled(self, split: str) -> int:
        """How many of its frames have a label of any head."""
        if split not in self._labelled:
            by_task = labelled_frames(self.tasks, self.targets(split)).values() if len(self._rows[split]) else ()
            self._labelled[split] = int(np.any(list(by_task), axis=0).sum())
        return self._labelled[split]

    def measure(self, split: str, model: MultiTaskModel, device: torch.device) -> PoolMetrics:
        """How a model does on the frames of a split."""
        rows = self._rows[split]
        # masks at the size of the input are cut as the pictures are, those of the labels' size are of the whole frame
        whole = self.evaluation.resolution == "labels"
        return measure(
            model,
            self.tasks,
            self.inputs,
            rows,
            self.targets(split),
            device,
            patients=self.table(split)["patient"].tolist(),
            windows=of_rows(self.frames.windows, rows) if whole else (),
            surface_pixels=self.evaluation.surface_pixels,
            hausdorff=self.evaluation.hausdorff,
        )

    def measure_val(self, model: MultiTaskModel, device: torch.device) -> dict[str, float]:
        """Its metrics on the split ``val``."""
        return self.measure("val", model, device).compute()

    def settle(self, folder: RunFolder) -> None:
        """Ask for what the data set does not know of them.

        Raises:
            LabelsPendingError: the annotators are not done; call again later.
        """
        frame_ids = [f for split in self._rows for f in self.frame_ids(split)]
        request = request_unlabelled(self.dataset, self.tasks, frame_ids)
        if not len(request.frames):
            return
        folder.ask_held_out(frame_ids)
        settle(self.oracle, request, folder.note_waiting)
        self._targets, self._labelled = {}, {}  # read before they were answered
        if not folder.complete_rounds():
            folder.keep_held_out(self.fingerprints())

    def fingerprints(self) -> pd.DataFrame:
        """See :meth:`mtal.learning.run_folder.Fingerprints.held_out`."""
        some = [split for split, rows in self._rows.items() if len(rows)]
        table = pd.concat([label_digests(self.frame_ids(s), self.targets(s)) for s in some], ignore_index=True)
        seen = spread(len(table))
        rows = np.concatenate([self._rows[s] for s in some])[seen]
        look = dict(zip(seen.tolist(), looks(self.frames[rows]), strict=True))
        table["look"] = pd.Series([look.get(i) for i in range(len(table))], dtype="object")
        return table


def drawn(rows: npt.NDArray[np.int64], count: int | None, seed: int) -> npt.NDArray[np.int64]:
    """So many of the frames at random, so that no model has a hand in it; all where ``None``.

    Raises:
        ValueError: there are fewer.
    """
    if count is None:
        return rows
    if count > len(rows):
        raise ValueError(
            f"loop.test_frames={count}, but {len(rows)} frames are held out; lower it, or hold out more patients"
        )
    return rows[np.sort(numpy_generator(seed, 0, "test").choice(len(rows), count, replace=False))]


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
