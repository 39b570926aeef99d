"""Metrics of every head over a whole split, by torchmetrics.

Rule for absent classes: a class without a positive label in the split (for AUROC and sensitivity also: without a
negative) has no score. It is reported as NaN and left out of the mean over classes, never averaged in as 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_sensitivity_at_specificity,
)

from mtal.datasets.label_map import IGNORE
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

    Frame heads keep their scores (a few numbers a frame); pixel heads keep confusion counts only.

    ``compute`` returns, by name:

    - Bernoulli frame head, C > 1: ``task/mAP`` and ``task/AP/<class>``;
    - Bernoulli frame head, C = 1: ``task/AP``, ``task/AUROC`` and ``task/sensitivity`` (the highest sensitivity at a
      false-alarm rate of at most ``false_alarm_rate``);
    - categorical frame head: ``task/macro_F1``, ``task/F1/<class>``, ``task/accuracy``;
    - pixel head: ``task/mIoU``, ``task/Dice`` and both per class; counts are summed over the split before dividing;
    - ``joint``: mean of the main metrics (mAP, AP, mIoU, macro F1).

    All lie in [0, 1].

    Args:
        tasks: the heads.
        false_alarm_rate: 1 − specificity at which sensitivity is read.
    """

    def __init__(self, tasks: Sequence[Task], false_alarm_rate: float = 0.1) -> None:
        self.tasks = list(tasks)
        self.false_alarm_rate = false_alarm_rate
        self._updates = 0
        self._frame: dict[str, list[tuple[Tensor, Tensor]]] = {t.name: [] for t in tasks if t.support == "frame"}
        self._pixel = {t.name: _confusion(t) for t in tasks if t.support == "pixel"}

    def update(self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
        """Add a batch: logits as the model gives them, targets uint8 with 255 left out (see :meth:`Task.loss`).

        Raises:
            ValueError: logits that are NaN or infinite, which any ranking would put in an arbitrary place.
        """
        self._updates += 1
        for task in self.tasks:
            x, y = logits[task.name].detach().float().cpu(), targets[task.name].cpu()
            if not x.isfinite().all():
                raise ValueError(
                    f"the logits of {task.name!r} are not finite: training has diverged; lower the learning rate"
                )
            if task.support == "frame":
                # a float32 sigmoid is 1 from a logit of 17 on and would tie the surest frames
                self._frame[task.name].append((task.probs(x.double()), y.long()))
            else:
                _count(task, self._pixel[task.name], x, y)

    def compute(self) -> dict[str, float]:
        """All metrics of all tasks and ``joint``.

        Raises:
            RuntimeError: nothing was added.
        """
        if not self._updates:
            raise RuntimeError("metrics of an empty split: update() was never called")
        metrics: dict[str, float] = {}
        for task in self.tasks:
            if task.support == "pixel":
                metrics |= _pixel_metrics(task, self._pixel[task.name])
                continue
            probs = torch.cat([p for p, _ in self._frame[task.name]])
            labels = torch.cat([y for _, y in self._frame[task.name]])
            if task.family == "categorical":
                metrics |= _categorical_frame_metrics(task, probs, labels)
            else:
                metrics |= self._bernoulli_frame_metrics(task, probs, labels)
        metrics["joint"] = joint_score(metrics, [t.name for t in self.tasks])
        return metrics

    def _bernoulli_frame_metrics(self, task: Task, probs: Tensor, labels: Tensor) -> dict[str, float]:
        per_class: dict[str, float] = {}
        for c, name in enumerate(task.classes):
            p, y = _annotated(probs[:, c], labels[:, c])
            per_class[name] = binary_average_precision(p, y).item() if y.any() else math.nan
        if len(task.classes) > 1:
            return {f"{task.name}/mAP": _mean(per_class.values())} | {
                f"{task.name}/AP/{k}": v for k, v in per_class.items()
            }
        both = bool(y.any()) and not bool(y.all())
        sensitivity = math.nan
        if both:
            sensitivity = binary_sensitivity_at_specificity(p, y, min_specificity=1 - self.false_alarm_rate)[0].item()
        return {
            f"{task.name}/AP": per_class[task.classes[0]],
            f"{task.name}/AUROC": binary_auroc(p, y).item() if both else math.nan,
            f"{task.name}/sensitivity": sensitivity,
        }


def _annotated(probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    keep = labels != IGNORE
    return probs[keep], labels[keep]


def _confusion(task: Task) -> list[MulticlassConfusionMatrix]:
    """One C x C matrix for a categorical head; a 2 x 2 matrix per class for a Bernoulli head."""
    if task.family == "categorical":
        return [MulticlassConfusionMatrix(len(task.classes), ignore_index=IGNORE)]
    return [MulticlassConfusionMatrix(2, ignore_index=IGNORE) for _ in task.classes]


def _count(task: Task, matrices: list[MulticlassConfusionMatrix], logits: Tensor, targets: Tensor) -> None:
    if logits.shape[-2:] != targets.shape[-2:]:
        logits = functional.interpolate(logits, targets.shape[-2:], mode="bilinear", align_corners=False)
    if task.family == "categorical":
        matrices[0].update(logits.argmax(dim=1), targets.long())
        return
    for c, matrix in enumerate(matrices):
        matrix.update((logits[:, c] > 0).long(), targets[:, c].long())


def _pixel_metrics(task: Task, matrices: list[MulticlassConfusionMatrix]) -> dict[str, float]:
    iou, dice = {}, {}
    for c, name in enumerate(task.classes):
        counts = (matrices[0] if task.family == "categorical" else matrices[c]).confmat.double()  # rows are the truth
        at = c if task.family == "categorical" else 1
        hit, truth, said = counts[at, at].item(), counts[at].sum().item(), counts[:, at].sum().item()
        iou[name] = hit / (truth + said - hit) if truth else math.nan
        dice[name] = 2 * hit / (truth + said) if truth else math.nan
    prefix = task.name
    return (
        {f"{prefix}/mIoU": _mean(iou.values()), f"{prefix}/Dice": _mean(dice.values())}
        | {f"{prefix}/IoU/{k}": v for k, v in iou.items()}
        | {f"{prefix}/Dice/{k}": v for k, v in dice.items()}
    )


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
