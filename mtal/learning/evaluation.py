"""Measure a model on a whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from mtal.datasets.masks import SomeLabels
from mtal.frames.prefetch import prefetch
from mtal.learning.inputs import Inputs, batched, ready, to_device
from mtal.models import MultiTaskModel
from mtal.progress import track
from mtal.tasks.metrics import PoolMetrics
from mtal.tasks.task import Task


def evaluate(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    targets: Mapping[str, SomeLabels],
    device: torch.device,
    batch_size: int = 32,
) -> dict[str, float]:
    """All metrics of all tasks over the frames at ``positions``; see :class:`~mtal.tasks.metrics.PoolMetrics`."""
    metrics = PoolMetrics(tasks)
    model = ready(model, device)
    rows = list(batched(np.arange(len(positions)), batch_size))
    loaded = prefetch((r, inputs.batch(positions[r])) for r in rows)
    with torch.inference_mode():
        for r, batch in track(loaded, "Evaluating", total=len(rows)):
            output = model(to_device(batch, device))
            metrics.update(
                {t.name: output.heads[t.name].logits for t in tasks},
                {t.name: torch.from_numpy(targets[t.name][r]) for t in tasks},
            )
    return metrics.compute()
