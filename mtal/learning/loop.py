"""The rounds: pick, label, retrain, evaluate, until the budget is spent."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from mtal.acquisition import Acquisition, Candidates, Constraint, MinimumGap, Moments, Random, tie_break
from mtal.annotation import Oracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.cache import FrameArray
from mtal.learning.evaluation import evaluate
from mtal.learning.inputs import Inputs
from mtal.learning.picks import annotated, class_counts, picks_table, predict_masks, write_images
from mtal.learning.run_folder import RunFolder
from mtal.learning.scoring import PoolScores, score_pool, shared_features
from mtal.learning.seeds import integer_seed, numpy_generator
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

    Raises:
        ValueError: a number is out of range.
    """

    initial: int | str = 24
    batch: int = 24
    rounds: int = 5

    def __post_init__(self) -> None:
        a_number = isinstance(self.initial, int) and not isinstance(self.initial, bool) and self.initial >= 1
        if not (self.initial == "all" or a_number):
            raise ValueError(f"loop.initial must be a number of frames or 'all', not {self.initial!r}")
        if self.batch < 1 or self.rounds < 0:
            raise ValueError(f"loop.batch must be ≥ 1 and loop.rounds ≥ 0, not {self.batch} and {self.rounds}")

    def first(self, pool: int) -> int:
        """Size of the initial set, after checking the whole budget against the pool.

        Raises:
            ValueError: the budget is larger than the pool.
        """
        initial = pool if self.initial == "all" else int(self.initial)
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
                model = self.make_model()
                before = folder.round_path(number - 1) / "model.safetensors"
                if number > 0:
                    model.load_state_dict(load_file(before), strict=False)
                picked, scores = self._pick(model, labelled, number, path, timings)
                with _timed(timings, "label"):
                    labels = self._label([*labelled, *picked])
                self._keep_picks(path, model, picked, {t: y[len(labelled) :] for t, y in labels.items()}, scores)
                with _timed(timings, "train"):
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
                with _timed(timings, "evaluate"):
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
        self, model: MultiTaskModel, labelled: list[str], number: int, path: Path, timings: dict[str, float]
    ) -> tuple[list[str], tuple[PoolScores, np.ndarray, np.ndarray] | None]:
        known = set(labelled)
        candidates = [f for f in self._pool if f not in known]
        generator = numpy_generator(self.seed, number, "select")
        moments, labelled_moments = self._moments(candidates), self._moments(labelled)
        hashes = tie_break(integer_seed(self.seed, number, "ties"), candidates)
        if number == 0:
            with _timed(timings, "select"):
                constraint = Constraint(len(candidates), rules=[MinimumGap(self.acquisition.minimum_gap_s, moments)])
                at = Random()(Candidates(hashes), self._first, generator, constraint).numpy()
            return [candidates[i] for i in at], None
        if not self.acquisition.selector_needs:
            with _timed(timings, "select"):
                at = self.acquisition.select(
                    Candidates(hashes, moments=moments), self.loop.batch, generator, labelled_moments
                ).numpy()
            return [candidates[i] for i in at], None
        with _timed(timings, "score"):
            scores = score_pool(
                model, self.tasks, self.inputs, self.positions(candidates), self.acquisition, self._device
            )
        with _timed(timings, "select"):
            speaks = annotated(self.tasks, self._label(labelled))
            silent = tuple(t for t, yes in speaks.items() if not yes)
            utility = self.acquisition.utility(scores.table, silent)
            at = self.acquisition.select(
                Candidates(
                    hashes,
                    utility=utility,
                    gradient=self.acquisition.joint_gradient(scores.gradients, silent) if scores.gradients else None,
                    features=torch.from_numpy(scores.shared),
                    labelled_features=self._labelled_features(model, labelled),
                    moments=moments,
                ),
                self.loop.batch,
                generator,
                labelled_moments,
            ).numpy()
        table = pd.DataFrame({"frame_id": candidates})
        columns = scores.table.values.numpy().T  # noqa: PD011  a tensor, not a data frame
        for (task, signal), column in zip(scores.table.columns, columns, strict=True):
            table[f"{task}/{signal}"] = column
        table["utility"] = utility.numpy()
        table.to_parquet(path / "scores.parquet", index=False)
        np.save(path / "embeddings.npy", scores.shared.astype(np.float16))
        return [candidates[i] for i in at], (scores, utility.numpy(), at)

    def _labelled_features(self, model: MultiTaskModel, labelled: list[str]) -> torch.Tensor | None:
        if "features" not in self.acquisition.selector_needs:
            return None
        return torch.from_numpy(shared_features(model, self.inputs, self.positions(labelled), self._device))

    def _moments(self, frame_ids: Sequence[str]) -> Moments:
        rows = self.dataset.index.table.iloc[self.positions(frame_ids)]
        codes = pd.Categorical(rows["video"], categories=sorted(self.dataset.index.table["video"].unique())).codes
        return Moments(np.asarray(codes, dtype=np.int64), rows["time_s"].to_numpy())

    def _keep_picks(
        self,
        path: Path,
        model: MultiTaskModel,
        picked: list[str],
        labels: dict[str, np.ndarray],
        scores: tuple[PoolScores, np.ndarray, np.ndarray] | None,
    ) -> None:
        at = self.positions(picked)
        known = None if scores is None else (scores[0].table, scores[1], scores[2])
        picks_table(self.dataset.index.select(picked), labels, self.tasks, known).to_parquet(
            path / "picks.parquet", index=False
        )
        predictions = {}
        if scores is not None:
            predictions = predict_masks(model, self.tasks, self.inputs, at, self._size, self._device)
        write_images(path / "images", self.frames, at, labels, predictions)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
