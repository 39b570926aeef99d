"""``overview.html``: one page that shows a selection of frames to label, and needs no other file and no network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mtal.reporting.config_summary import summarize
from mtal.reporting.page import clock, environment, layer_of, thumbnail
from mtal.reporting.pick import Score
from mtal.reporting.run_reader import Task, read_mask, tasks_of

_NOT_ASKED = "-"  # in a cell of frames.csv that is for a label

THUMBNAIL = 300
"""Longer side of a frame on the page, in pixels: 200 frames stay under 10 MB."""


@dataclass(frozen=True)
class FrameCard:
    """One frame with everything that is drawn for it, images as data URIs."""

    rank: int
    video: str
    frame: int
    time: str
    file: str
    reason: str
    utility: float
    scores: tuple[Score, ...]
    predictions: tuple[tuple[str, str], ...]  # head, what it says
    not_asked: tuple[str, ...]  # heads that need no label here
    image: str
    size: tuple[int, int]
    layers: tuple[str, ...]
    alt: str


@dataclass(frozen=True)
class VideoRow:
    """One video: how many of its frames were looked at, and where in it the picks are."""

    file: str
    end_s: float
    sampled: int
    kept: int
    picks: tuple[tuple[float, int, str], ...]  # share of the length in %, rank, time


def write_overview(folder: Path) -> Path:
    """Draw ``<folder>/overview.html`` from ``frames.csv``, ``selection.json``, ``images/`` and ``masks/``.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: one of them cannot be understood.
    """
    about = json.loads((folder / "selection.json").read_text(encoding="utf-8"))
    rows = pd.read_csv(folder / "frames.csv", dtype=str, keep_default_na=False).to_dict("records")
    tasks = tasks_of(about["tasks"], folder / "selection.json")
    pixel = [t for t in tasks.values() if rows and _masks(rows[0], t)]
    cards = [_card(row, folder, pixel) for row in rows]
    page = (
        environment()
        .get_template("overview.html.j2")
        .render(
            cards=cards,
            some_heads=any(card.not_asked for card in cards),
            videos=[_video(told, rows) for told in about["videos"]],
            about=about,
            pixel=pixel,
            tasks=tasks,
            config=_how(about["asked"]),
            scored=any(row["utility"] for row in rows),
        )
    )
    target = folder / "overview.html"
    target.write_text(page, encoding="utf-8")
    return target


def _card(row: Mapping[Any, str], folder: Path, pixel: Sequence[Task]) -> FrameCard:
    image, size = thumbnail(folder / row["image"], THUMBNAIL)
    predictions = tuple((k.removeprefix("predicted/"), v) for k, v in row.items() if k.startswith("predicted/"))
    said = "; ".join(f"{task}: {words}" for task, words in predictions)
    return FrameCard(
        rank=int(row["rank"]),
        video=row["video"],
        frame=int(row["frame"]),
        time=row["time"],
        file=row["image"],
        reason=row["reason"],
        utility=_number(row["utility"]),
        scores=_scores(row),
        predictions=predictions,
        not_asked=tuple(k.removeprefix("label/") for k, v in row.items() if k.startswith("label/") and v == _NOT_ASKED),
        image=image,
        size=size,
        layers=tuple(layer_of(_read(folder, _masks(row, task), task), task, size) for task in pixel),
        alt=f"Frame {row['frame']} of {row['video']}, {row['time']}. Predicted: {said}.",
    )


def _masks(row: Mapping[Any, str], task: Task) -> list[str]:
    """Files of the masks of a head: one, or one for each class where classes overlap."""
    columns = [f"mask/{task.name}"] if task.family == "categorical" else [f"mask/{task.name}/{c}" for c in task.classes]
    return [row[column] for column in columns if column in row]


def _read(folder: Path, files: Sequence[str], task: Task) -> NDArray[np.uint8]:  # [H, W] or [C, H, W]
    if task.family == "categorical":
        return read_mask(folder / files[0], task.family, task.classes)
    return np.stack([np.asarray(Image.open(folder / file)) > 0 for file in files]).astype(np.uint8)


def _scores(row: Mapping[Any, str]) -> tuple[Score, ...]:
    names = [column.split("/", 2)[1:] for column in row if column.startswith("score/")]
    return tuple(
        Score(task, signal, _number(row[f"score/{task}/{signal}"]), _number(row[f"percentile/{task}/{signal}"]))
        for task, signal in names
    )


def _video(told: Mapping[str, Any], rows: Sequence[Mapping[Any, str]]) -> VideoRow:
    end = max(told["end_s"], 1e-9)
    mine = [row for row in rows if row["video"] == told["video"]]
    picks = tuple((100 * float(row["time_s"]) / end, int(row["rank"]), clock(float(row["time_s"]))) for row in mine)
    return VideoRow(told["file"], told["end_s"], told["sampled"], told["kept"], picks)


def _how(asked: Mapping[str, Any]) -> dict[str, str]:
    """How the frames were chosen, in words."""
    checkpoint = asked["checkpoint"]
    model = {"Model": f"{checkpoint['run']}, round {checkpoint['round']}"}
    chosen = {k: v for k, v in summarize(asked).items() if k not in ("Data", "Seed", "Loss weighting")}
    return model | chosen


def _number(text: str) -> float:
    return float(text) if text else math.nan
