"""What a run is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition import Acquisition
from mtal.annotation import Oracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.cache import FrameArray
from mtal.learning.evaluation import EvaluationSettings
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.multi_task_loss import Weighting
from mtal.learning.run_folder import RunFolder
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.trainings import Trainings
from mtal.learning.weights_file import WEIGHTS, read_weights
from mtal.models import MultiTaskModel
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import Inputs
from mtal.tasks.task import Task


@dataclass
class Setup:
    """What a run is made of, for all of its stages.

    Args:
        dataset: frames, splits and label maps.
        frames: their pixels, rows as in the frame index.
        inputs: what the model is fed.
        tasks: the heads.
        make_model: gives a fresh model, the same at each call.
        acquisition: which frames to pick.
        oracle: who labels them.
        loop: budget.
        trainer: training.
        weighting: how the heads' losses add up.
        evaluation: how held-out frames are scored.
        seed: of the whole run.
        encoder: what the model's encoder is, see :attr:`~mtal.models.Encoder.description`.
        engine: who scores the pool; this process where ``None``.
        trainings: makes models learn, or reads what the very same training gave before.
    """

    dataset: SurgicalDataset
    frames: FrameArray
    inputs: Inputs
    tasks: Sequence[Task]
    make_model: Callable[[], MultiTaskModel]
    acquisition: Acquisition
    oracle: Oracle
    loop: LoopSettings = field(default_factory=LoopSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    weighting: Weighting = "fixed"
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    encoder: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine | None = None
    trainings: Trainings = field(default_factory=Trainings)

    @cached_property
    def device(self) -> torch.device:
        """Where models run."""
        return self.trainer.device()

    def positions(self, frame_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Rows of the frame index."""
        return self.dataset.index.positions(frame_ids)

    def model_before(self, folder: RunFolder, number: int) -> MultiTaskModel:
        """The model as the round before ``number`` has left it, a fresh one before the first."""
        model = self.make_model()
        if number > 0:
            before = read_weights(folder.round_path(number - 1) / WEIGHTS, self.tasks)
            model.load_state_dict(before, strict=False)
        return model
