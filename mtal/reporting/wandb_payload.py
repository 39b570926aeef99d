"""What Weights & Biases is told of a round: numbers, pictures with masks, and a table of the picks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import wandb

from mtal.reporting.pick import Pick, loudest, picks_of
from mtal.reporting.run_reader import IGNORE, Round, Run, Task, read_mask

MOST_IMAGES = 100
"""Pictures logged per round; an initial set may be the whole pool."""

LABELLED = "labelled"
"""The axis of all curves."""

PICTURES = "picks/frames"
TABLE = "picks/table"


def scalars(run: Run, this: Round) -> dict[str, float]:
    """The numbers of one round by the name they are logged under; those that could not be computed are left out.

    ``labelled, picked, joint, <task>/<metric>[/<class>], share/<task>, class_counts/<task>/<class>, answers/<task>,
    seconds/<stage>``.
    ``share`` is the part of the round's picks for which that head, or ``shared`` the signals of all heads together,
    spoke loudest; there is none where none was heard.
    """
    numbers: dict[str, float] = {LABELLED: this.spent, "picked": this.picked}
    numbers |= {key: value for key, value in this.metrics.items() if math.isfinite(value)}
    numbers |= {f"share/{head}": share for head, share in loudest(this.picks, run.tasks).items()}
    numbers |= {f"class_counts/{t}/{c}": n for t, counts in this.class_counts.items() for c, n in counts.items()}
    numbers |= {f"answers/{task}": n for task, n in this.answers.items()}
    numbers |= {f"seconds/{stage}": seconds for stage, seconds in this.timings.items()}
    return numbers


def payload(run: Run, this: Round) -> dict[str, Any]:
    """All that is logged of one round: its numbers, a gallery of its picks and a table of them."""
    content: dict[str, Any] = dict(scalars(run, this))
    picks = picks_of(run, this.number)
    # A list of pictures is a gallery with a slider over the rounds and masks to switch on, of which W&B shows no more
    # than 108. The table can be sorted and filtered; the pictures in it once more would make logging a quarter slower.
    gallery = [_image(this, pick, run.pixel_tasks()) for pick in picks[:MOST_IMAGES]]
    if shown := [image for image in gallery if image is not None]:
        content[PICTURES] = shown
    content[TABLE] = _table(run, picks)
    return content


def _table(run: Run, picks: Sequence[Pick]) -> wandb.Table:
    signals = [(score.task, score.signal) for score in picks[0].scores] if picks else []
    tasks = [task.name for task in run.frame_tasks()]
    columns: list[str | int] = [
        "order",
        "frame_id",
        "patient",
        "video",
        "frame",
        "time_s",
        "reason",
        "utility",
    ]
    columns += [f"label/{task}" for task in tasks]
    columns += [f"{what}/{task}/{signal}" for what in ("score", "percentile") for task, signal in signals]
    rows: list[Iterable[Any]] = []
    for pick in picks:
        row: list[Any] = [
            pick.order,
            pick.frame_id,
            pick.patient,
            pick.video,
            pick.frame,
            pick.time_s,
            pick.reason,
        ]
        row.append(_finite(pick.utility))
        row += [pick.in_words(task, pick.labels[task]) for task in tasks]
        row += [_finite(score.value) for score in pick.scores] + [_finite(score.percentile) for score in pick.scores]
        rows.append(row)
    return wandb.Table(columns=columns, data=rows)


def _image(this: Round, pick: Pick, pixel_tasks: Sequence[Task]) -> wandb.Image | None:
    """The picked frame with its label and, from round 1 on, the prediction as switchable masks."""
    path = this.image(pick.order)
    if path is None:
        return None
    masks: dict[str, dict[str, Any]] = {}
    for task in pixel_tasks:
        for kind, mask in (
            ("label", this.label_mask(pick.order, task.name)),
            ("prediction", this.predicted_mask(pick.order, task.name)),
        ):
            if mask is not None and not (kind == "label" and task.name in pick.not_asked):
                masks |= _masks(mask, task, kind)
    return wandb.Image(str(path), caption=f"{pick.frame_id}: {pick.reason}", masks=masks or None)


def _masks(path: Path, task: Task, kind: str) -> dict[str, dict[str, Any]]:
    """One mask of W&B, or one for each class where classes overlap, which one mask cannot show."""
    mask = read_mask(path, task.family, task.classes)
    if mask.ndim == 2:
        names = {**dict(enumerate(task.classes)), IGNORE: "not annotated"}
        return {f"{task.name}_{kind}": {"mask_data": mask, "class_labels": names}}
    return {
        f"{task.name}_{name}_{kind}": {
            "mask_data": layer,  # [H, W]
            "class_labels": {0: f"no {name}", 1: name, IGNORE: "not annotated"},
        }
        for name, layer in zip(task.classes, mask, strict=True)
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
