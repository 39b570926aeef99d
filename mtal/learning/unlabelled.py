"""What a round learns from frames that nobody labelled, if anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mtal.datasets.masks import SomeLabels
from mtal.frames.cache import FrameArray
from mtal.frames.index import FrameIndex
from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.picks import annotated
from mtal.learning.propagation import propagated
from mtal.learning.pseudo_labels import NAME, pseudo_labels, temperatures
from mtal.learning.seeds import numpy_generator
from mtal.learning.trainer_settings import TrainerSettings
from mtal.models import MultiTaskModel
from mtal.models.annotatability import Annotatability
from mtal.scoring.inputs import Inputs
from mtal.scoring.site_weights import AskedSites
from mtal.tasks.task import Task

SomeFrames = tuple[npt.NDArray[np.int64], Mapping[str, SomeLabels]]
"""Positions ``[n]`` in the frame index, and their labels by task."""


@dataclass(frozen=True)
class Teacher:
    """The model of the round before.

    Args:
        model: as that round left it.
        learnt_from: labelled frames that it was trained on, with their labels.
        annotatable: what that round found of where annotators label, by head.
    """

    model: MultiTaskModel
    learnt_from: SomeFrames
    annotatable: Mapping[str, Annotatability]


@dataclass(frozen=True)
class Unlabelled:
    """The frames of the pool that a round may learn from without a label.

    Args:
        tasks: the heads.
        inputs: of all frames.
        frames: their pictures.
        index: of all frames.
        trainer: what is to be learnt from them.
        device: where models run.
        seed: of the run.
    """

    tasks: Sequence[Task]
    inputs: Inputs
    frames: FrameArray
    index: FrameIndex
    trainer: TrainerSettings
    device: torch.device
    seed: int

    def derived(
        self,
        number: int,
        asked: npt.NDArray[np.int64],
        labelled: SomeFrames,
        fresh: SomeFrames,
        teacher: Teacher | None,
    ) -> list[DerivedLabels]:
        """Labels for frames that nobody was asked for, of the kinds that ``trainer`` wants.

        Args:
            number: of the round.
            asked: positions of all frames that people were asked for, those that cannot be used among them.
            labelled: all frames with labels.
            fresh: those among them that the teacher was not trained on.
            teacher: ``None`` in the first round, which has no pseudo-labels.
        """
        free = (self.index.table["split"] == "pool").to_numpy(copy=True)  # [N]
        free[asked] = False
        found = []
        if self.trainer.propagation.is_on:
            table = self.index.table
            found.append(propagated(self.tasks, self.frames, table, *labelled, free, self.trainer.propagation))
            free[found[-1].positions] = False
        if self.trainer.pseudo_labels.is_on and teacher is not None and free.any():
            found.append(self._pseudo_labels(number, free, fresh, teacher))
        return found

    def _pseudo_labels(
        self, number: int, free: npt.NDArray[np.bool_], fresh: SomeFrames, teacher: Teacher
    ) -> DerivedLabels:
        settings = self.trainer.pseudo_labels
        drawn = numpy_generator(self.seed, number, NAME).permutation(np.flatnonzero(free))[: settings.frames]
        at = np.sort(drawn)
        rows = self.index.table.iloc[at]
        windows = None if self.frames.windows is None else self.frames.windows[at]
        return pseudo_labels(
            teacher.model,
            self.tasks,
            self.inputs,
            rows["frame_id"].tolist(),
            at,
            rows["video"].to_numpy(),
            settings,
            self.device,
            self.frames.size,
            temperatures=temperatures(teacher.model, self.tasks, self.inputs, *fresh, self.device),
            silent=[task for task, any_label in annotated(self.tasks, teacher.learnt_from[1]).items() if not any_label],
            site_weights=AskedSites(teacher.annotatable, windows=windows),
        )
