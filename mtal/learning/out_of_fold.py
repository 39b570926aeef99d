"""How good each head is on labelled frames that it did not learn from: cross-validation on the labelled frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.datasets.masks import SomeLabels, take
from mtal.learning.multi_task_loss import Weighting
from mtal.learning.seeds import integer_seed
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs, batched, ready, to_device
from mtal.tasks.metrics import PoolMetrics
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

MOST_SITES = 32
"""Rows and columns of a pixel head that are kept of each frame for calibration; scores see all of the decoder's map."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions on held-out labelled frames, rows in the order of the labelled frames.

    Args:
        scores: task to class to average precision, F1 or IoU in [0, 1]; a class without a positive is absent.
        heads: task to posterior ``probs [N, S, C]`` float64; empty where there was nothing to hold out.
        targets: task to uint8 labels, 255 = not annotated: class numbers ``[N, S]`` (categorical) or ``[N, S, C]``.
    """

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    heads: dict[str, HeadOutput] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)


def out_of_fold(
    make_model: Callable[[], MultiTaskModel],
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: npt.NDArray[np.int64],
    labels: Mapping[str, SomeLabels],
    settings: TrainerSettings,
    *,
    folds: int = 3,
    groups: Sequence[npt.ArrayLike] = (),
    weighting: Weighting = "fixed",
    seed: int = 0,
    steps: int | None = None,
    device: torch.device | None = None,
    batch_size: int = 32,
) -> OutOfFold:
    """Train a fresh model for each fold on the other folds, and judge all held-out predictions together.

    Neighbouring frames of a video look alike, and so do videos of one patient, so a frame must not be judged by a model
    that saw its neighbour: see :func:`assign_folds`. Predictions are compared where they are made, in the middles of
    the cells of the decoder's map, with the pixel of the mask that lies there, half a pixel beside it at most. Same
    arguments on the same machine, same result.

    Args:
        make_model: gives a fresh model.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[N]`` labelled frames, in the order of the frame index where they come from one video.
        labels: by task, uint8 ``[N, ...]``, 255 = not annotated.
        settings: of the training.
        folds: how many; fewer where fewer frames are labelled.
        groups: the patient and the video of each frame, ``[N]`` both; see :func:`assign_folds`.
        weighting: how the heads' losses add up.
        seed: of the trainings.
        steps: optimiser steps per fold; ``None`` for as many as ``settings`` say.
        device: where predictions are made; that of ``settings`` where ``None``.
        batch_size: frames predicted at a time.

    Returns:
        Nothing at all where fewer than two frames are labelled.

    Raises:
        ValueError: fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs two folds or more, not {folds}")
    if len(positions) < 2:
        return OutOfFold()
    settings = settings if steps is None else replace(settings, until="steps", steps=steps)
    device = settings.device() if device is None else device
    fold = assign_folds(positions, groups, folds)  # [N]
    metrics = PoolMetrics(tasks)
    kept: dict[str, _Kept] = {t.name: _Kept(t, len(positions)) for t in tasks}
    for number in range(int(fold.max()) + 1):
        others, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        model = make_model()
        fit(
            model,
            tasks,
            inputs,
            positions[others],
            {name: take(y, others) for name, y in labels.items()},
            settings,
            weighting=weighting,
            seed=integer_seed(seed, number, "fold"),
        )
        model = ready(model, device)
        with torch.inference_mode():
            for rows in batched(held, batch_size):
                output = model(to_device(inputs.batch(positions[rows]), device))
                logits = {t.name: output.heads[t.name].logits for t in tasks}
                wanted = {t.name: _wanted(t, torch.from_numpy(labels[t.name][rows]), logits[t.name]) for t in tasks}
                metrics.update(logits, wanted)
                for name, part in kept.items():
                    part.keep(rows, logits[name], wanted[name])
    return OutOfFold(
        scores=_class_scores(tasks, metrics.compute()),
        heads={name: part.head() for name, part in kept.items()},
        targets={name: part.targets for name, part in kept.items()},
    )


def assign_folds(
    positions: npt.NDArray[np.int64], groups: Sequence[npt.ArrayLike] = (), folds: int = 3
) -> npt.NDArray[np.int64]:
    """Fold of each frame, ``[N]``: whole patients where there are enough of them, else whole videos, else stretches.

    Each group goes as a whole to the fold with the fewest frames, the largest group first. Where there are fewer groups
    of every kind than folds, the frames are put in order of groups and position and cut into equal stretches, so that
    only frames at a cut have a near twin in another fold.

    Args:
        positions: ``[N]``, in the order of time where frames come from one video.
        groups: kinds of groups, ``[N]`` each, such as patients and videos; the first that has enough groups is taken.
        folds: how many.

    >>> assign_folds(np.array([10, 11, 12, 90, 91, 50]), [["p", "p", "p", "q", "q", "q"], list("aaabbc")], folds=2)
    array([0, 0, 0, 1, 1, 1])
    >>> assign_folds(np.array([10, 11, 12, 90, 91, 50]), [["p", "p", "p", "q", "q", "q"], list("aaabbc")], folds=3)
    array([0, 0, 0, 1, 1, 2])
    >>> assign_folds(np.array([40, 10, 30, 20]), folds=2)
    array([1, 0, 1, 0])
    """
    kinds = [np.unique(np.asarray(kind), return_inverse=True, return_counts=True)[1:] for kind in groups]
    for group, sizes in kinds:
        if len(sizes) >= folds:
            return _whole_groups(group, sizes, folds)
    in_time = np.lexsort((positions, *(group for group, _ in reversed(kinds))))
    fold = np.empty(len(positions), dtype=np.int64)
    fold[in_time] = np.arange(len(positions)) * min(folds, len(positions)) // len(positions)
    return fold


def _whole_groups(
    group: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], folds: int
) -> npt.NDArray[np.int64]:  # [N], [G] -> [N]
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    filled = np.zeros(folds, dtype=np.int64)
    for g in np.argsort(-sizes, kind="stable"):
        fold_of_group[g] = filled.argmin()
        filled[fold_of_group[g]] += sizes[g]
    return fold_of_group[group]


class _Kept:
    """Posterior and labels of one head on all labelled frames, filled fold by fold."""

    def __init__(self, task: Task, frames: int) -> None:
        self.task = task
        self.frames = frames
        self.probs = torch.empty(0)
        self.targets = torch.empty(0)
        self.grid: tuple[int, int] | None = None

    def keep(self, rows: npt.NDArray[np.int64], logits: Tensor, targets: Tensor) -> None:
        """Logits and labels of the same sites, ``[n, C]`` or ``[n, C, h, w]``."""
        if self.task.support == "pixel":
            row, column = (_places(side, min(side, MOST_SITES)) for side in logits.shape[-2:])
            logits = logits[..., row[:, None], column]
            targets = targets[..., row[:, None], column]
        # float64: a float32 probability is 1 from a logit of 17 on
        probs = self.task.head_output(logits.double()).probs.cpu()  # [n, S, C]
        targets = by_site(self.task, targets)
        if not len(self.probs):
            self.grid = (logits.shape[-2], logits.shape[-1]) if self.task.support == "pixel" else None
            self.probs = probs.new_empty(self.frames, *probs.shape[1:])
            self.targets = targets.new_empty(self.frames, *targets.shape[1:])
        self.probs[rows] = probs
        self.targets[rows] = targets

    def head(self) -> HeadOutput:
        return HeadOutput(self.task.family, self.probs, grid=self.grid)


def by_site(task: Task, targets: Tensor) -> Tensor:
    """``[n, S]`` class numbers, or ``[n, S, C]`` of a Bernoulli head."""
    if task.family == "categorical":
        return targets.reshape(len(targets), -1)
    return targets.reshape(*targets.shape[:2], -1).transpose(1, 2)


def _wanted(task: Task, targets: Tensor, logits: Tensor) -> Tensor:
    return targets if task.support == "frame" else sampled(targets, (logits.shape[-2], logits.shape[-1]))


def sampled(targets: Tensor, grid: tuple[int, int]) -> Tensor:
    """Labels ``[..., H, W]`` at the middles of the cells of a decoder's map, ``[..., h, w]``."""
    row, column = (_places(a, b) for a, b in zip(targets.shape[-2:], grid, strict=True))
    return targets[..., row[:, None], column]


def _places(available: int, wanted: int) -> Tensor:
    """Middles of ``wanted`` equal stretches of ``available`` places."""
    return torch.arange(wanted).add(0.5).mul(available / wanted).long()


def _class_scores(tasks: Sequence[Task], metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for task in tasks:
        metric = "IoU" if task.support == "pixel" else "AP" if task.family == "bernoulli" else "F1"
        alone = task.support == "frame" and task.family == "bernoulli" and len(task.classes) == 1
        names = {c: f"{task.name}/{metric}" if alone else f"{task.name}/{metric}/{c}" for c in task.classes}
        found = {c: metrics[name] for c, name in names.items() if not math.isnan(metrics[name])}
        scores[task.name] = {c: min(score, 1.0) for c, score in found.items()}  # float32 sums end a little above 1
    return scores
