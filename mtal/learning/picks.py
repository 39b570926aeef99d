"""What a round keeps of its picks: where they are, why they were picked, what they showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from mtal.acquisition import ScoreTable
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameArray
from mtal.learning.inputs import Inputs, ready, to_device
from mtal.models import MultiTaskModel
from mtal.tasks.task import Task


def picks_table(
    rows: pd.DataFrame,
    labels: Mapping[str, np.ndarray],
    tasks: Sequence[Task],
    scores: tuple[ScoreTable, np.ndarray, np.ndarray] | None,
) -> pd.DataFrame:
    """``picks.parquet``: one row per pick in order of choice.

    Args:
        rows: rows of the frame index.
        labels: the oracle's answer for these frames.
        tasks: the heads.
        scores: score table of the round's pool, utility of its frames ``[N]`` and the picks' rows in it; ``None`` when
            frames were picked without scores.

    Returns:
        Columns ``order, frame_id, patient, video, frame, time_s, utility``, ``score/<task>/<signal>`` and
        ``percentile/<task>/<signal>`` (0 to 100 within the pool), ``reason_task, reason_signal, reason_percentile``
        (the column in which the frame stands highest) and ``label/<task>`` for frame tasks.
    """
    table = rows[["frame_id", "patient", "video", "frame", "time_s"]].reset_index(drop=True)
    table.insert(0, "order", np.arange(len(table)))
    table["utility"] = np.nan
    table["reason_task"] = table["reason_signal"] = pd.Series([None] * len(table), dtype="object")
    table["reason_percentile"] = np.nan
    if scores is not None:
        pool, utility, at = scores
        values = pool.values.numpy()  # noqa: PD011  a tensor, not a data frame
        percentiles = pool.percentiles().numpy()[at]  # [picks, columns]
        table["utility"] = utility[at]
        best = np.nan_to_num(percentiles, nan=-1.0).argmax(axis=1)
        table["reason_task"] = [pool.columns[b][0] for b in best]
        table["reason_signal"] = [pool.columns[b][1] for b in best]
        table["reason_percentile"] = percentiles[np.arange(len(best)), best]
        columns = {}
        for c, (name, signal) in enumerate(pool.columns):
            columns[f"score/{name}/{signal}"] = values[at, c]
            columns[f"percentile/{name}/{signal}"] = percentiles[:, c]
        table = pd.concat([table, pd.DataFrame(columns)], axis=1)  # at once: one by one is slow from 100 on
    for task in tasks:
        if task.support == "frame":
            table[f"label/{task.name}"] = [np.atleast_1d(y).astype(int).tolist() for y in labels[task.name]]
    return table


def write_images(
    folder: Path,
    frames: FrameArray,
    positions: np.ndarray,
    labels: Mapping[str, np.ndarray],
    predictions: Mapping[str, np.ndarray],
) -> None:
    """``images/0000.jpg`` and, per pixel task, ``.<task>.png`` (label) and ``.<task>.pred.png`` (prediction before)."""
    folder.mkdir()
    for k, picture in enumerate(frames[positions]):
        Image.fromarray(picture).save(folder / f"{k:04d}.jpg", quality=88)
    for suffix, masks in ((".png", labels), (".pred.png", predictions)):
        for task, stack in masks.items():
            if stack.ndim == 3:  # a stack of class-number masks, one per pick
                for k, mask in enumerate(stack):
                    Image.fromarray(mask).save(folder / f"{k:04d}.{task}{suffix}")


def predict_masks(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    size: tuple[int, int],
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Most probable class of every pixel, ``[n, H, W]`` uint8, for each categorical pixel head."""
    heads = [t for t in tasks if t.support == "pixel" and t.family == "categorical"]
    model = ready(model, device)
    with torch.inference_mode():
        output = model(to_device(inputs.batch(positions), device))
        return {
            t.name: torch.nn.functional.interpolate(output.heads[t.name].logits, size, mode="bilinear")
            .argmax(dim=1)
            .to(torch.uint8)
            .cpu()
            .numpy()
            for t in heads
        }


def class_counts(tasks: Sequence[Task], labels: Mapping[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """How many labelled frames show each class."""
    counts: dict[str, dict[str, int]] = {}
    for task in tasks:
        y = labels[task.name]
        if task.family == "bernoulli":
            shown = (y == 1).reshape(*y.shape[:2], -1).any(axis=2)  # [N, C]
        else:
            flat = y.reshape(len(y), -1)
            shown = np.stack([(flat == c).any(axis=1) for c in range(len(task.classes))], axis=1)  # [N, C]
        counts[task.name] = {name: int(n) for name, n in zip(task.classes, shown.sum(axis=0), strict=True)}
    return counts


def annotated(tasks: Sequence[Task], labels: Mapping[str, np.ndarray]) -> dict[str, bool]:
    """Whether each task has any label at all."""
    return {t.name: bool((labels[t.name] != IGNORE).any()) for t in tasks}
