"""What heads that know nothing score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mtal.reporting.run_reader import Run, main_metric


def chance_level(runs: Sequence[Run], keys: Sequence[str]) -> float:
    """Chance level of the mean of the metrics ``keys``, the mean over ``runs``; 0 for metrics that record none, as IoU.

    As in the mean itself, metrics that could not be measured are left out, and so are runs that measured none of them.

    Args:
        runs: whose last rounds tell.
        keys: metrics, or ``"joint"`` alone for the mean of the heads' main metrics.
    """
    levels: list[float] = []
    for run in runs:
        metrics = run.rounds[-1].metrics
        main = [main_metric(task, metrics) for task in run.tasks] if list(keys) == ["joint"] else keys
        measured = [key for key in main if key is not None and not math.isnan(metrics.get(key, math.nan))]
        if measured:
            levels.append(float(np.mean([metrics.get(chance_key(key), 0.0) for key in measured])))
    return float(np.mean(levels)) if levels else 0.0


def chance_key(key: str) -> str:
    """The chance level that belongs to a metric of a head or class.

    >>> chance_key("tools/mAP"), chance_key("tools/AP/hook"), chance_key("anatomy/mIoU")
    ('tools/chance', 'tools/chance/hook', 'anatomy/mIoU/chance')
    """
    task, metric, *name = key.split("/")
    return "/".join([task, "chance", *name]) if metric in ("AP", "mAP") else f"{key}/chance"
