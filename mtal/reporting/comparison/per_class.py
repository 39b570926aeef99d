"""Classes: which metric speaks for each, and which of them are rare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mtal.reporting.run_reader import Run, main_metric

RARE = 0.1
"""A class in fewer than this share of the frames that its head has an answer of is rare."""

_CLASS_METRIC = {"mAP": "AP", "mIoU": "IoU", "macro_F1": "F1"}
"""Main metric of a head → the metric of one class that it is the mean of."""


def class_metrics(run: Run) -> dict[tuple[str, str], str]:
    """(task, class) → key of the metric that is averaged into the head's main one; a lone class has the main one.

    Classes that could not be measured, such as those of a head without annotations, are left out.
    """
    last = run.rounds[-1].metrics
    keys = {}
    for task in run.tasks.values():
        main = main_metric(task.name, last)
        if main is None:
            continue
        per_class = _CLASS_METRIC.get(main.split("/")[1])
        for name in task.classes:
            key = f"{task.name}/{per_class}/{name}" if per_class else main
            if math.isfinite(last.get(key, math.nan)):
                keys[task.name, name] = key
    return keys


def class_shares(runs: Sequence[Run]) -> dict[tuple[str, str], float]:
    """(task, class) → share of the frames with an answer of the head that contain the class, over ``runs``, 0 to 1.

    Of runs that pick at random, or label the whole pool, this estimates how common the class is in the pool.
    """
    counts: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        last = run.rounds[-1]
        for task, classes in last.class_counts.items():
            for name, count in classes.items():
                counts.setdefault((task, name), []).append(count / max(last.answered(task), 1))
    return {key: float(np.mean(shares)) for key, shares in counts.items()}


def rare_classes(
    metrics: Mapping[tuple[str, str], str], shares: Mapping[tuple[str, str], float]
) -> list[tuple[str, str]]:
    """The measured classes in fewer than :data:`RARE` of the frames, rarest first; those never seen are among them."""
    rare = [key for key in metrics if shares.get(key, 0.0) < RARE]
    return sorted(rare, key=lambda key: shares.get(key, 0.0))
