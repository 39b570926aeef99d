"""The rounds: pick, label, retrain, evaluate, until the budget is spent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
from safetensors.torch import load_file, save_file

from mtal.acquisition import Acquisition
from mtal.annotation import Oracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.cache import FrameArray
from mtal.learning.evaluation import evaluate
from mtal.learning.inputs import Inputs
from mtal.learning.out_of_fold import out_of_fold
from mtal.learning.picking import Picker, timed
from mtal.learning.picks import Picks, class_counts, picks_table, predict_masks, write_images
from mtal.learning.round import Round
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import integer_seed
from mtal.learning.standing import Standing, needs_out_of_fold, past_rounds, standing
from mtal.learning.training import TrainerSettings, Weighting, fit
from mtal.models import MultiTaskModel
from mtal.tasks.task import Task

RoundListener = Callable[[Path, int], None]
"""Called with the run folder and the number of a round that is complete on disk."""


@dataclass(frozen=True)
class LoopSettings:
    """How many frames, how often.

    Args:
        initial: frames in the initial set, picked at random, or ``"all"`` for the whole pool (an upper reference).
        batch: frames picked per round.
        rounds: rounds after the initial set.
        batch_seconds: annotator seconds to spend per round instead of a number of frames; needs ``acquisition.cost``.
            The initial set stays a number of frames: no model is there yet to tell what a frame costs.
        folds: of the cross-validation on labelled frames that adaptive weights and calibration ask for.
        fold_steps: optimiser steps per fold; ``None`` for as many as a round trains.

    Raises:
        ValueError: a number is out of range.
    """

    initial: int | str = 24
    batch: int = 24
    rounds: int = 5
    batch_seconds: float | None = None
    folds: int = 3
    fold_steps: int | None = None

    def __post_init__(self) -> None:
        a_number = isinstance(self.initial, int) and not isinstance(self.initial, bool) and self.initial >= 1
        if not (self.initial == "all" or a_number):
            raise ValueError(f"loop.initial must be a number of frames or 'all', not {self.initial!r}")
        if self.batch < 1 or self.rounds < 0:
            raise ValueError(f"loop.batch must be ≥ 1 and loop.rounds ≥ 0, not {self.batch} and {self.rounds}")
        if self.batch_seconds is not None and not 0 < self.batch_seconds < math.inf:
            raise ValueError(f"loop.batch_seconds must be above 0, or null to count frames, not {self.batch_seconds}")
        if self.folds < 2 or (self.fold_steps is not None and self.fold_steps < 1):
            raise ValueError(
                f"loop.folds must be ≥ 2 and loop.fold_steps ≥ 1 or null, not {self.folds} and {self.fold_steps}"
            )

    def first(self, pool: int) -> int:
        """Size of the initial set, after checking the whole budget against the pool.

        Raises:
            ValueError: the budget is larger than the pool.
        """
        initial = pool if self.initial == "all" else int(self.initial)
        if self.batch_seconds is not None:
            return min(initial, pool)
        budget = initial + self.rounds * self.batch
        if budget > pool:
            raise ValueError(
                f"the budget is larger than the pool: loop.initial + loop.rounds x loop.batch = {initial} + "
                f"{self.rounds} x {self.batch} = {budget} frames, but the pool has {pool}; lower one of the three or "
                "sample the videos more densely"
            )
        return initial


@dataclass
class Experiment:
    """One run of active learning.

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
        seed: of the whole run.
        listeners: told of every complete round.
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
    seed: int = 0
    listeners: Sequence[RoundListener] = ()

    def __post_init__(self) -> None:
        table = self.dataset.index.table
        self._position = {f: i for i, f in enumerate(table["frame_id"])}
        self._pool = table.loc[table["split"] == "pool", "frame_id"].tolist()
        self._test = table.loc[table["split"] == "test", "frame_id"].tolist()
        if not self._pool or not self._test:
            raise ValueError(
                f"data set {self.dataset.name!r} needs frames in the splits pool and test; see its split option"
            )
        if self.weighting not in get_args(Weighting):
            raise ValueError(f"tasks.weighting must be {' or '.join(get_args(Weighting))}, not {self.weighting!r}")
        self._size: tuple[int, int] = self.frames.size
        self._first = self.loop.first(len(self._pool))
        self._device = self.trainer.device()
        self._picker = Picker(self.dataset, self.inputs, self.tasks, self.acquisition, self._device, self.seed)

    def run(self, folder: RunFolder) -> dict[str, float]:
        """Go on from whatever rounds ``folder`` holds; returns the metrics of the last one.

        Raises:
            LabelsPendingError: the annotators are not done; call again later.
        """
        test_targets = self.dataset_targets(self._test)
        test_positions = self.positions(self._test)
        for number in range(folder.complete_rounds(), self.loop.rounds + 1):
            timings: dict[str, float] = {}
            with folder.round(number) as path:
                labelled = folder.labelled()
                if len(labelled) == len(self._pool):
                    raise ValueError(
                        f"round {number}: all {len(labelled)} frames of the pool are labelled; lower loop.rounds"
                    )
                model = self.make_model()
                before = folder.round_path(number - 1) / "model.safetensors"
                if number > 0:
                    model.load_state_dict(load_file(before), strict=False)
                picks = self._pick(model, folder, labelled, number, path, timings)
                picked = picks.frame_ids
                with timed(timings, "label"):
                    labels = self._label([*labelled, *picked])
                self._keep_picks(path, model, picks, {t: y[len(labelled) :] for t, y in labels.items()})
                with timed(timings, "train"):
                    if self.trainer.restart == "cold":
                        model = self.make_model()
                    fit(
                        model,
                        self.tasks,
                        self.inputs,
                        self.positions([*labelled, *picked]),
                        labels,
                        self.trainer,
                        weighting=self.weighting,
                        seed=integer_seed(self.seed, number, "train"),
                    )
                with timed(timings, "evaluate"):
                    metrics = evaluate(model, self.tasks, self.inputs, test_positions, test_targets, self._device)
                state = {k: v.detach().cpu().contiguous() for k, v in model.trained_state().items()}
                save_file(state, path / "model.safetensors")
                summary = {
                    "round": number,
                    "labelled": len(labelled) + len(picked),
                    "picked": len(picked),
                    "metrics": {k: None if math.isnan(v) else v for k, v in metrics.items()},
                    "class_counts": class_counts(self.tasks, labels),
                }
                (path / "metrics.json").write_text(json.dumps(summary, indent=1))
                (path / "timings.json").write_text(json.dumps({k: round(v, 3) for k, v in timings.items()}))
            for listener in self.listeners:
                listener(folder.path, number)
        last: dict[str, float] = folder.metrics(folder.complete_rounds() - 1)["metrics"]
        return last

    def positions(self, frame_ids: Sequence[str]) -> np.ndarray:
        """Rows of the frame index."""
        return np.array([self._position[f] for f in frame_ids], dtype=np.int64)

    def dataset_targets(self, frame_ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Known labels, for the held-out frames only; labels of the pool come from the oracle."""
        return {t.name: self.dataset.labels.targets(t.name, frame_ids, self._size) for t in self.tasks}

    def _label(self, frame_ids: Sequence[str]) -> dict[str, np.ndarray]:
        answer = self.oracle.label(frame_ids, self._size)
        return {t.name: answer[t.name] for t in self.tasks}

    def _pick(
        self,
        model: MultiTaskModel,
        folder: RunFolder,
        labelled: list[str],
        number: int,
        path: Path,
        timings: dict[str, float],
    ) -> Picks:
        if number == 0:
            return self._picker.pick(model, Round(0, self._first, folder, path, timings=timings))
        left = len(self._pool) - len(labelled)
        asked = Round(
            number,
            self.loop.batch if self.loop.batch_seconds is None else left,
            folder,
            path,
            labelled,
            timings=timings,
            budget_s=self.loop.batch_seconds,
        )
        if self.acquisition.reads_the_pool:
            asked = replace(asked, known=self._standing(folder, labelled, number, timings))
        return self._picker.pick(model, asked)

    def _standing(self, folder: RunFolder, labelled: list[str], number: int, timings: dict[str, float]) -> Standing:
        """Where the heads stand, judged on labelled frames alone."""
        labels = self._label(labelled)
        validated = None
        if needs_out_of_fold(self.acquisition):
            positions = self.positions(labelled)
            with timed(timings, "validate"):
                validated = out_of_fold(
                    self.make_model,
                    self.tasks,
                    self.inputs,
                    positions,
                    labels,
                    self.trainer,
                    folds=self.loop.folds,
                    groups=self.dataset.index.table["video"].to_numpy()[positions],
                    weighting=self.weighting,
                    seed=integer_seed(self.seed, number, "folds"),
                    steps=self.loop.fold_steps,
                    device=self._device,
                )
        return standing(self.acquisition, self.tasks, labels, validated, past_rounds(folder))

    def _keep_picks(self, path: Path, model: MultiTaskModel, picks: Picks, labels: dict[str, np.ndarray]) -> None:
        at = self.positions(picks.frame_ids)
        picks_table(self.dataset.index.select(picks.frame_ids), labels, self.tasks, picks).to_parquet(
            path / "picks.parquet", index=False
        )
        predictions = {}
        if picks.table is not None:
            predictions = predict_masks(model, self.tasks, self.inputs, at, self._size, self._device)
        write_images(path / "images", self.frames, at, labels, predictions)
