"""Metrics of every head over a whole split: of frames by torchmetrics, of pixels from counts of our own.

Rule for absent classes: a class without a positive label in the split (for AUROC and sensitivity also: without a
negative) has no score. It is reported as NaN and left out of the mean over classes, never averaged in as 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_sensitivity_at_specificity,
)

from mtal.datasets.label_map import IGNORE
from mtal.datasets.runs import Runs
from mtal.frames.window import WHOLE, Window
from mtal.tasks.pixel_counts import Overlap, PixelCounts
from mtal.tasks.task import Task

MAIN = ("mAP", "AP", "mIoU", "macro_F1")


def main_metric(task: str, metrics: Iterable[str]) -> str | None:
    """Name of the metric that speaks for ``task``: the first of mAP, AP, mIoU, macro_F1 that was measured."""
    names = set(metrics)
    return next((f"{task}/{m}" for m in MAIN if f"{task}/{m}" in names), None)


def joint_score(metrics: Mapping[str, float], tasks: Sequence[str]) -> float:
    """Mean of the tasks' main metrics; a task that could not be measured (NaN) is left out."""
    values = [metrics[name] for t in tasks if (name := main_metric(t, metrics)) is not None]
    return _mean(values)


class PoolMetrics:
    """Accumulates every task's predictions over a split, then gives all metrics at once.

    Frame heads keep their scores (a few numbers a frame); pixel heads keep counts of pixels, and of
    outlines a number for each frame and class.

    ``compute`` returns, by name:

    - Bernoulli frame head, C > 1: ``task/mAP`` and ``task/AP/<class>``, and beside them ``task/chance`` and
      ``task/chance/<class>``: what a head that knows nothing has, which is the share of positives;
    - Bernoulli frame head, C = 1: ``task/AP``, ``task/chance``, ``task/AUROC`` and ``task/sensitivity`` (the highest
      sensitivity at a false-alarm rate of at most ``false_alarm_rate``);
    - categorical frame head: ``task/macro_F1``, ``task/F1/<class>``, ``task/accuracy``;
    - pixel head: ``task/mIoU``, ``task/Dice`` and both per class; counts are summed over the split before dividing;
    - with ``tolerance`` also ``task/NSD``, normalised surface Dice, and with ``hausdorff`` ``task/HD95``, the 95th
      percentile of the Hausdorff distance; of a class the mean over the frames that show it;
    - ``joint``: mean of the main metrics (mAP, AP, mIoU, macro F1).

    All lie in [0, 1], but for ``HD95``, which is in pixels of the mask and the better the smaller.

    Args:
        tasks: the heads.
        false_alarm_rate: 1 − specificity at which sensitivity is read.
        tolerance: pixels of the mask within which outlines agree; ``None`` to leave surface Dice out.
        hausdorff: whether to measure ``HD95``.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        false_alarm_rate: float = 0.1,
        tolerance: float | None = None,
        *,
        hausdorff: bool = False,
    ) -> None:
        self.tasks = list(tasks)
        self.false_alarm_rate = false_alarm_rate
        self._groups: list[str] = []
        self._frame: dict[str, list[tuple[Tensor, Tensor]]] = {t.name: [] for t in tasks if t.support == "frame"}
        self._pixel = {t.name: PixelCounts(t, tolerance, hausdorff=hausdorff) for t in tasks if t.support == "pixel"}

    def update(
        self,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor | Sequence[NDArray[np.uint8] | Runs | None]],
        groups: Sequence[str] = (),
        windows: Sequence[Window] = (),
    ) -> None:
        """Add a batch of N frames.

        Args:
            logits: as the model gives them.
            targets: uint8 with 255 left out (see :meth:`Task.loss`); masks may also be N arrays or runs, each of its
                own size, ``None`` where nobody labelled anything.
            groups: whom each frame is of, for :meth:`by_group`; nobody where not given.
            windows: part of each mask that the model was shown; all of it where not given.

        Raises:
            ValueError: logits that are NaN or infinite, which any ranking would put in an arbitrary place.
        """
        n = len(next(iter(logits.values())))
        groups, windows = groups or [""] * n, windows or [WHOLE] * n
        self._groups += groups
        for task in self.tasks:
            x = logits[task.name].detach().float().cpu()
            if not x.isfinite().all():
                raise ValueError(
                    f"the logits of {task.name!r} are not finite: training has diverged; lower the learning rate"
                )
            y = targets[task.name]
            if task.support == "frame":
                assert isinstance(y, Tensor)
                # a float32 sigmoid is 1 from a logit of 17 on and would tie the surest frames
                self._frame[task.name].append((task.probs(x.double()), y.cpu().long()))
                continue
            masks: Iterable[NDArray[np.uint8] | Runs | None] = y.cpu().numpy() if isinstance(y, Tensor) else y
            alike: dict[tuple[tuple[int, ...], Window], dict[int, NDArray[np.uint8] | Runs]] = {}
            for k, (mask, window) in enumerate(zip(masks, windows, strict=True)):
                if mask is not None:
                    alike.setdefault((mask.shape, window), {})[k] = mask
            for (_, window), some in alike.items():
                of = [groups[k] for k in some]
                self._pixel[task.name].add(x[list(some)], list(some.values()), of, window)

    def compute(self) -> dict[str, float]:
        """All metrics of all tasks and ``joint``.

        Raises:
            RuntimeError: nothing was added.
        """
        if not self._groups:
            raise RuntimeError("metrics of an empty split: update() was never called")
        metrics: dict[str, float] = {}
        for task in self.tasks:
            if task.support == "pixel":
                metrics |= _pixel_metrics(task, self._pixel[task.name].total())
                metrics |= _surface_metrics(task, self._pixel[task.name])
            else:
                metrics |= self._frame_metrics(task, *self._answers(task))
        metrics["joint"] = joint_score(metrics, [t.name for t in self.tasks])
        return metrics

    def by_group(self) -> dict[str, dict[str, float]]:
        """The main metric of each task over the frames of each group by itself, NaN where it has none: task → group.

        So has a class of which a group has no negative: its average precision is 1, whatever the model says.
        """
        found: dict[str, dict[str, float]] = {}
        groups = np.array(self._groups)
        for task in self.tasks:
            found[task.name] = {}
            for group in dict.fromkeys(self._groups):
                if task.support == "pixel":
                    metrics = _pixel_metrics(task, self._pixel[task.name].of(group))
                else:
                    at = torch.from_numpy(groups == group)
                    probs, labels = self._answers(task)
                    metrics = self._frame_metrics(task, probs[at], labels[at], both=True)
                name = main_metric(task.name, metrics)
                assert name is not None
                found[task.name][group] = metrics[name]
        return found

    def answers(self, task: Task) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Probabilities of a frame head, ``[N, C]``, and its labels, in the order in which frames were added."""
        probs, labels = self._answers(task)
        return probs.numpy(), labels.to(torch.uint8).numpy()

    def _answers(self, task: Task) -> tuple[Tensor, Tensor]:
        of_frames = self._frame[task.name]
        return torch.cat([p for p, _ in of_frames]), torch.cat([y for _, y in of_frames])

    def _frame_metrics(self, task: Task, probs: Tensor, labels: Tensor, *, both: bool = False) -> dict[str, float]:
        """Metrics of a frame head, NaN for a class without a positive or, if ``both`` are needed, a negative."""
        if task.family == "categorical":
            return _categorical_frame_metrics(task, probs, labels)
        per_class: dict[str, float] = {}
        chance: dict[str, float] = {}
        for c, name in enumerate(task.classes):
            p, y = _annotated(probs[:, c], labels[:, c])
            measured = bool(y.any()) and not (both and bool(y.all()))
            per_class[name] = binary_average_precision(p, y).item() if measured else math.nan
            chance[name] = y.double().mean().item() if measured else math.nan
        if len(task.classes) > 1:
            return {
                f"{task.name}/{key}": value
                for metric, mean, of_class in (("AP", "mAP", per_class), ("chance", "chance", chance))
                for key, value in (
                    (mean, _mean(of_class.values())),
                    *((f"{metric}/{k}", v) for k, v in of_class.items()),
                )
            }
        mixed = bool(y.any()) and not bool(y.all())
        sensitivity = math.nan
        if mixed:
            sensitivity = binary_sensitivity_at_specificity(p, y, min_specificity=1 - self.false_alarm_rate)[0].item()
        return {
            f"{task.name}/AP": per_class[task.classes[0]],
            f"{task.name}/chance": chance[task.classes[0]],
            f"{task.name}/AUROC": binary_auroc(p, y).item() if mixed else math.nan,
            f"{task.name}/sensitivity": sensitivity,
        }


def _annotated(probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    keep = labels != IGNORE
    return probs[keep], labels[keep]


def _pixel_metrics(task: Task, found: Overlap) -> dict[str, float]:
    iou, dice = {}, {}
    for name, hit, truth, said in zip(task.classes, *found.tolist(), strict=True):
        iou[name] = hit / (truth + said - hit) if truth else math.nan
        dice[name] = 2 * hit / (truth + said) if truth else math.nan
    prefix = task.name
    return (
        {f"{prefix}/mIoU": _mean(iou.values()), f"{prefix}/Dice": _mean(dice.values())}
        | {f"{prefix}/IoU/{k}": v for k, v in iou.items()}
        | {f"{prefix}/Dice/{k}": v for k, v in dice.items()}
    )


def _surface_metrics(task: Task, counts: PixelCounts) -> dict[str, float]:
    found: dict[str, float] = {}
    for measure, values in counts.surface().items():
        of_class = dict(zip(task.classes, values.tolist(), strict=True))
        found[f"{task.name}/{measure}"] = _mean(of_class.values())
        found |= {f"{task.name}/{measure}/{name}": value for name, value in of_class.items()}
    return found


def _categorical_frame_metrics(task: Task, probs: Tensor, labels: Tensor) -> dict[str, float]:
    keep = labels != IGNORE
    matrix = MulticlassConfusionMatrix(len(task.classes), ignore_index=IGNORE)
    matrix.update(probs.argmax(dim=1), labels)
    counts = matrix.confmat.double()
    f1 = {}
    for c, name in enumerate(task.classes):
        truth, said = counts[c].sum().item(), counts[:, c].sum().item()
        f1[name] = 2 * counts[c, c].item() / (truth + said) if truth else math.nan
    accuracy = (counts.trace() / counts.sum()).item() if keep.any() else math.nan
    return {f"{task.name}/macro_F1": _mean(f1.values()), f"{task.name}/accuracy": accuracy} | {
        f"{task.name}/F1/{k}": v for k, v in f1.items()
    }


def _mean(values: Iterable[float]) -> float:
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan
