"""Class weights against imbalance, from the labelled frames alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import SomeLabels, in_parts
from mtal.tasks.task import Task

Scheme = Literal["none", "sqrt", "inverse"]


def class_weights(task: Task, targets: SomeLabels, scheme: Scheme = "sqrt", limit: float = 10.0) -> Tensor | None:
    """Weights ``[C]`` for the loss of ``task``, or ``None`` for scheme ``"none"``.

    Bernoulli: (negatives / positives) of each class; categorical: (mean class count / class count). ``"inverse"`` takes
    the ratio as it is, ``"sqrt"`` its square root, both clipped to [1/limit, limit]. A class not seen yet, or a label
    never seen absent, gets weight 1: nothing is known about how rare it is.

    Args:
        task: the head.
        targets: uint8 labels of the labelled frames; 255 is left out.
        scheme: how hard to balance.
        limit: largest weight, ≥ 1.

    Raises:
        ValueError: unknown scheme, or a limit below 1.
    """
    if scheme not in ("none", "sqrt", "inverse"):
        raise ValueError(f"unknown class balance {scheme!r}; choose none, sqrt or inverse")
    if not limit >= 1:
        raise ValueError(f"the limit of class weights must be at least 1, not {limit}")
    if scheme == "none":
        return None
    classes = len(task.classes)
    positive, against = np.zeros(classes), np.zeros(classes)
    for part in in_parts(targets):
        if task.family == "bernoulli":
            by_class = np.moveaxis(part, 1, 0).reshape(classes, -1)  # [C, n·S]
            positive += (by_class == 1).sum(axis=1)
            against += (by_class == 0).sum(axis=1)
        else:
            positive += np.bincount(part[part != IGNORE], minlength=classes)
    if task.family == "categorical":
        seen = positive > 0
        against = np.full(classes, positive[seen].mean() if seen.any() else 0.0)
    usable = (positive > 0) & (against > 0)
    ratio = np.where(usable, against / np.maximum(positive, 1), 1.0)
    weights = np.clip(np.sqrt(ratio) if scheme == "sqrt" else ratio, 1 / limit, limit)
    return torch.tensor(weights, dtype=torch.float32)
