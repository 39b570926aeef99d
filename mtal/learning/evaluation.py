"""Measure a model on a whole split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.masks import HeldOut, OwnSizeMasks
from mtal.datasets.runs import Runs
from mtal.frames.prefetch import prefetch
from mtal.frames.window import Window
from mtal.models import MultiTaskModel
from mtal.progress import track
from mtal.refusals import refuse
from mtal.scoring.inputs import Inputs, batched, ready, to_device
from mtal.suggest import nearest
from mtal.tasks.events import Events, find_events
from mtal.tasks.metrics import PoolMetrics, main_metric
from mtal.tasks.task import Task


@dataclass(frozen=True)
class EvaluationSettings:
    """How held-out frames are scored.

    Args:
        resolution: ``labels`` scores masks at the size that they have on disk, ``input`` at that of the model's input.
        surface_pixels: tolerance of the normalised surface Dice, in pixels of what is scored; ``None`` leaves it out.
        hausdorff: whether to measure the 95th percentile of the Hausdorff distance, in these pixels.

    Raises:
        ValueError: a value is no choice or out of range.
    """

    resolution: Literal["labels", "input"] = "labels"
    surface_pixels: float | None = None
    hausdorff: bool = False

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.resolution not in ("labels", "input"):
            choices = ("labels", "input")
            yield (
                f"evaluation.resolution must be labels or input, not {self.resolution!r}"
                f"{nearest(str(self.resolution), choices)}"
            )
        if self.surface_pixels is not None and not 0 <= self.surface_pixels < math.inf:
            yield (
                "evaluation.surface_pixels must be a number of pixels of at least 0, or null for no surface Dice, not "
                f"{self.surface_pixels}"
            )
        if self.hausdorff is not True and self.hausdorff is not False:
            yield f"evaluation.hausdorff must be true or false, not {self.hausdorff!r}"


def measure(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: NDArray[np.int64],
    targets: Mapping[str, HeldOut],
    device: torch.device,
    batch_size: int = 32,
    *,
    patients: Sequence[str] = (),
    windows: Sequence[Window] = (),
    surface_pixels: float | None = None,
    hausdorff: bool = False,
) -> PoolMetrics:
    """What is known of all frames at ``positions``, of which ``compute()`` gives all metrics of all tasks.

    Masks are read a batch ahead and let go of when they are counted.

    Args:
        model: evaluated in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[N]``.
        targets: labels of these frames by task.
        device: where the model runs.
        batch_size: frames at a time.
        patients: of each frame; none where not given.
        windows: part of each frame that the model is shown; all of it where not given. Masks at the size of the input
            show that part alone.
        surface_pixels: see :class:`EvaluationSettings`.
        hausdorff: see :class:`EvaluationSettings`.
    """
    metrics = PoolMetrics(tasks, tolerance=surface_pixels, hausdorff=hausdorff)
    model = ready(model, device)
    rows = list(batched(np.arange(len(positions)), batch_size))
    loaded = prefetch(
        (r, inputs.batch(positions[r]), {t.name: _labels(targets[t.name], r) for t in tasks}) for r in rows
    )
    with torch.inference_mode():
        for r, batch, labels in track(loaded, "Evaluating", total=len(rows)):
            output = model(to_device(batch, device))
            logits = {t.name: output.heads[t.name].logits for t in tasks}
            metrics.update(
                logits, labels, [patients[i] for i in r] if patients else (), [windows[i] for i in r] if windows else ()
            )
    return metrics


def record(metrics: PoolMetrics, frames: pd.DataFrame) -> dict[str, Any]:
    """What a round keeps of its evaluation, ready for JSON.

    Args:
        metrics: of the test frames, by patient.
        frames: their rows of the frame index.

    Returns:
        ``metrics``; ``by_patient``: task → name of the main metric, its mean over patients, its worst and that of each
        patient; ``events``: task → :class:`~mtal.tasks.events.Events` of the heads that answer yes or no, where frames
        are dense. Numbers that cannot be had are ``None``.
    """
    numbers = metrics.compute()
    return {
        "metrics": known_numbers(numbers),
        "by_patient": {task: _of_patients(main_metric(task, numbers), of) for task, of in metrics.by_group().items()},
        "events": {
            task.name: asdict(found)
            for task in metrics.tasks
            if task.support == "frame" and task.family == "bernoulli" and len(task.classes) == 1
            if (found := _events(metrics, task, frames)) is not None
        },
    }


def known_numbers(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """The same, ready for JSON: NaN, which cannot be had, becomes ``None``."""
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _labels(labels: HeldOut, rows: NDArray[np.int64]) -> Tensor | list[Runs | None]:
    if isinstance(labels, OwnSizeMasks):
        return [labels.runs(row) for row in rows.tolist()]
    return torch.from_numpy(labels[rows])


def _of_patients(metric: str | None, of: Mapping[str, float]) -> dict[str, Any]:
    scores = [value for value in of.values() if not math.isnan(value)]
    return {
        "metric": None if metric is None else metric.rpartition("/")[2],
        "mean": sum(scores) / len(scores) if scores else None,
        "worst": min(scores, default=None),
        "patients": known_numbers(of),
    }


def _events(metrics: PoolMetrics, task: Task, frames: pd.DataFrame) -> Events | None:
    probs, labels = metrics.answers(task)
    return find_events(probs[:, 0], labels[:, 0], frames["video"].tolist(), frames["time_s"].to_numpy(dtype=np.float64))
