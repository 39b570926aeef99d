"""What annotators did and how long it took them, as the cost model learns from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtal.acquisition import Acquisition, MeasuredCost
from mtal.acquisition.costs import predicted_boundary, predicted_classes
from mtal.acquisition.measured_cost import Did, Floats
from mtal.annotation import LabelView, Said
from mtal.annotation.cvat import TOOL as CVAT
from mtal.annotation.seconds import without_breaks
from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import Labels
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

COST = "cost.json"
"""The seconds that a round went by, see :attr:`mtal.acquisition.MeasuredCost.speeds`."""

NEWEST = 500
"""Sittings that count: annotators get quicker, and each of them has masks to be read."""

_SIDE = 256  # sites of a longer side: outlines have the same length in sides of the frame on any grid
_SITTING = ["frame_id", "annotator", "time"]


def learn_cost(acquisition: Acquisition, view: LabelView | None, tasks: Sequence[Task], path: Path) -> None:
    """Fit what frames cost to what was measured so far, and keep it with the round that picks by it.

    Args:
        acquisition: whose cost is measured, or is not.
        view: as for :func:`sittings`.
        tasks: the heads.
        path: folder of the round.
    """
    cost = acquisition.limits.cost
    if isinstance(cost, MeasuredCost):
        cost.learn(*sittings(view, tasks), lacking=_never_timed(view))
        (path / COST).write_text(json.dumps(cost.speeds, indent=1))


def recall_cost(acquisition: Acquisition, path: Path) -> None:
    """Go by the seconds that a round went by, where it measured any.

    Args:
        acquisition: whose cost is measured, or is not.
        path: folder of the round.
    """
    cost = acquisition.limits.cost
    if isinstance(cost, MeasuredCost) and (path / COST).is_file():
        cost.recall(json.loads((path / COST).read_text()))


def sittings(view: LabelView | None, tasks: Sequence[Task]) -> tuple[Did, Floats]:
    """The newest sittings in which somebody labelled heads of one frame, without breaks, and the seconds of each.

    What is corrected later takes less than a label does, and is no sitting.

    Args:
        view: what people have said; ``None`` where nobody was asked.
        tasks: the heads.

    Returns:
        What :meth:`mtal.acquisition.MeasuredCost.learn` takes: G sittings, and nothing of a head that was never timed.
    """
    if view is None:
        return {}, np.empty(0)
    mine = {t.name: t for t in tasks}
    rows = view.told[view.told["task"].isin(list(mine)) & (view.told["state"] != Said.WITHDRAWN)]
    rows = rows.assign(timed=without_breaks(rows).where(rows["state"] == Said.LABELLED))
    rows = rows.assign(timed=rows["timed"].where(~rows.duplicated(["frame_id", "task", "annotator"])))
    rows = rows[~rows["timed"].isna().groupby([rows[c] for c in _SITTING]).transform("any")]
    newest = rows.drop_duplicates(_SITTING).sort_values(["time", "frame_id", "annotator"]).tail(NEWEST)
    at = {key: g for g, key in enumerate(newest[_SITTING].itertuples(index=False, name=None))}
    did: dict[tuple[str, str], Floats] = {}
    seconds = np.zeros(len(at))
    for row in rows.to_dict("records"):
        g = at.get(tuple(row[c] for c in _SITTING))
        if g is None:
            continue
        seconds[g] += row["timed"]
        task = mine[row["task"]]
        for name, amount in _done(view, task, row).items():
            did.setdefault((name, task.name), np.zeros(len(at)))[g] = amount
    return did, seconds


def _never_timed(view: LabelView | None) -> str:
    """Which answers no tool will ever time, and what to do; ``""`` where there are none."""
    count = 0 if view is None else int(((view.answers["tool"] == CVAT) & view.answers["seconds"].isna()).sum())
    return (
        f"CVAT's exports do not say how long anything took, and {count} answers are from there: give the seconds "
        "yourself with acquisition/cost=annotator_seconds, or ask with oracle=label_studio, which measures them, or "
        "oracle=folder, where they are filled in"
        if count
        else ""
    )


def _done(view: LabelView, task: Task, row: Mapping[Any, Any]) -> dict[str, float]:
    """How much of each setting one answer took."""
    if task.support == "frame":
        head = as_output(task, view.read(task.name, row["value"]))
        labels = {} if task.family == "categorical" else {"label_s": float(predicted_classes(head))}
        return {"frame_s": 1.0, **labels}
    head = as_output(task, view.read(task.name, row["mask"]))
    return {"frame_s": 1.0, "class_s": float(predicted_classes(head)), "boundary_s": float(predicted_boundary(head))}


def as_output(task: Task, label: Labels) -> HeadOutput:
    """A label of one frame, ``[C]``, ``[]``, ``[C, H, W]`` or ``[H, W]``, as what a head says that is sure of it."""
    classes = len(task.classes)
    pixels = label.shape[-2:] if task.support == "pixel" else ()
    if pixels:
        step = -(-max(pixels) // _SIDE)
        label = label[..., ::step, ::step]
        pixels = label.shape[-2:]
    if task.family == "categorical":
        label = np.where(label == IGNORE, np.uint8(IGNORE), label == np.arange(classes).reshape(-1, *[1] * len(pixels)))
    sites = torch.from_numpy(np.ascontiguousarray(label.reshape(classes, -1).T))[None]  # [1, S, C]
    known = sites != IGNORE
    valid = known.any(dim=2)
    return HeadOutput(task.family, (sites * known).float(), valid, grid=pixels or None)
