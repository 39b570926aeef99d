"""A run folder read back from disk: everything that a report, a table or W&B shows comes from here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

IGNORE = 255
"""Label value for "not annotated", at frame, class or pixel level."""

MAIN_METRICS = ("mAP", "AP", "mIoU", "macro_F1")
"""A head is summed up by the first of these that it has."""

_REQUIRED = ("config.yaml", "tasks.json", "frames.parquet", "rounds")
_COMPLETE = re.compile(r"\d{2,}")  # unfinished rounds have names that start with a dot


@dataclass(frozen=True)
class Task:
    """One head: what its labels mean and how they are drawn."""

    name: str
    family: Literal["bernoulli", "categorical"]
    support: Literal["frame", "pixel"]
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Patients:
    """One metric of one head, patient by patient; NaN where a patient has no score."""

    metric: str
    mean: float
    worst: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Round:
    """One complete round.

    Args:
        path: folder of the round.
        number: 0 for the initial set; round r >= 1 was picked with the model of round r - 1.
        labelled: frames labelled so far, those of this round included.
        picked: frames picked in this round.
        metrics: ``"<task>/<metric>[/<class>]"`` or ``"joint"`` → value in [0, 1], of ``HD95`` in pixels; NaN where it
            could not be computed.
        class_counts: task → class → labelled frames so far that contain the class.
        val_labelled: labelled frames of the split ``val`` beside them, where the run read it.
        training: how long it was trained, where the run tells; see :class:`mtal.learning.training.Training`.
        answers: task → labelled frames so far of which the head got a label; all of them in runs that do not tell.
        by_patient: task → what its main metric is on the test frames of each patient; empty in runs that do not tell.
        events: task → what a head that answers yes or no found of events, where frames are dense.
        picks: one row per picked frame, in order of choice.
        timings: stage → seconds.
    """

    path: Path
    number: int
    labelled: int
    picked: int
    metrics: Mapping[str, float]
    class_counts: Mapping[str, Mapping[str, int]]
    picks: pd.DataFrame
    timings: Mapping[str, float]
    answers: Mapping[str, int] = field(default_factory=dict)
    by_patient: Mapping[str, Patients] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    val_labelled: int = 0
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        """Labelled frames that the model has cost."""
        return self.labelled + self.val_labelled

    def answered(self, task: str) -> int:
        """Labelled frames so far of which a head got a label."""
        return self.answers.get(task, self.labelled)

    def image(self, order: int) -> Path | None:
        """The frame that was picked as number ``order`` (from 0), or None if it was not kept."""
        return _existing(self.path / "images" / f"{order:04d}.jpg")

    def label_mask(self, order: int, task: str) -> Path | None:
        """The label of one pixel-level task, see :func:`read_mask`."""
        return _existing(self.path / "images" / f"{order:04d}.{task}.png")

    def predicted_mask(self, order: int, task: str) -> Path | None:
        """What the model believed when it picked the frame; None in round 0."""
        return _existing(self.path / "images" / f"{order:04d}.{task}.pred.png")


@dataclass(frozen=True)
class Run:
    """What a run folder holds, without weights, embeddings and the scores of the pool."""

    path: Path
    config: Mapping[str, Any]
    tasks: Mapping[str, Task]
    frames: pd.DataFrame
    rounds: tuple[Round, ...]
    stopped: str = ""  # why there are fewer rounds than were to be, in a sentence

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    def pixel_tasks(self) -> list[Task]:
        """The tasks with one label per pixel."""
        return [task for task in self.tasks.values() if task.support == "pixel"]

    def frame_tasks(self) -> list[Task]:
        """The tasks with one label, or one set of labels, per frame."""
        return [task for task in self.tasks.values() if task.support == "frame"]


def read_run(path: Path | str) -> Run:
    """Read the complete rounds of a run folder.

    Raises:
        FileNotFoundError: the folder does not exist, is not a run, or a complete round lacks a file.
        ValueError: a file in it cannot be understood.
    """
    path = Path(path).resolve()
    missing = [name for name in _REQUIRED if not (path / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"{path} is not a run folder: it has no {', '.join(missing)}; "
            "give the folder that holds config.yaml and rounds/"
        )
    return Run(
        path=path,
        config=read_config(path),
        tasks=read_tasks(path),
        frames=pd.read_parquet(path / "frames.parquet"),
        rounds=_read_rounds(path, 0),
        stopped=stopped(path),
    )


def go_on(run: Run, first: int) -> Run:
    """``run`` with the rounds that its folder holds now from number ``first`` on; nothing else is read again."""
    return replace(run, rounds=_read_rounds(run.path, first))


def stopped(path: Path) -> str:
    """Why the run in folder ``path`` has fewer rounds than were to be, in a sentence; ``""`` if it has them all."""
    file = path / "stopped.json"
    if not file.is_file():
        return ""
    told = _read_json(file, "rounds", "reason")
    count, why = told["rounds"], told["reason"]
    return f"Stopped after {count} round{'' if count == 1 else 's'}: {why}."


def read_config(path: Path) -> dict[str, Any]:
    """The resolved configuration of the run in folder ``path``.

    Raises:
        ValueError: it holds something else than keys and values.
    """
    loaded = OmegaConf.load(path / "config.yaml")
    if not OmegaConf.is_dict(loaded):
        raise ValueError(f"{path / 'config.yaml'}: expected keys and values, found {type(loaded).__name__}")
    return cast("dict[str, Any]", OmegaConf.to_container(loaded, resolve=True))


def plain(config: Any) -> dict[str, Any]:
    """A configuration as nested dicts and lists, interpolations resolved."""
    return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.create(config), resolve=True))


def read_tasks(path: Path) -> dict[str, Task]:
    """The tasks of the run in folder ``path``, in the order in which they were written."""
    return tasks_of(_read_json(path / "tasks.json"), path / "tasks.json")


def tasks_of(told: Mapping[str, Any], file: Path) -> dict[str, Task]:
    """The tasks that a JSON object tells.

    Raises:
        ValueError: one of them cannot be read; the message names ``file``.
    """
    tasks = {}
    for name, entry in told.items():
        try:
            tasks[name] = Task(
                name=name,
                family=entry["family"],
                support=entry["support"],
                classes=tuple(entry["classes"]),
                colors=tuple((int(r), int(g), int(b)) for r, g, b in entry["colors"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}: task {name!r} cannot be read ({error!r})") from error
    return tasks


def read_round(path: Path, number: int) -> Round:
    """One complete round of the run in folder ``path``.

    Raises:
        FileNotFoundError: the round does not exist, or is not complete.
    """
    return _read_round(path / "rounds" / f"{number:02d}")


def read_mask(path: Path, family: Literal["bernoulli", "categorical"], classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of a round: ``[H, W]`` class numbers or, where classes overlap, ``[C, H, W]`` of 0 and 1.

    255 stands for not annotated. The layers of classes that overlap are one below the other in the file.

    Raises:
        ValueError: there is something else in it.
    """
    with Image.open(path) as stored:
        pixels = np.asarray(stored)
    overlap = family == "bernoulli"
    beyond = pixels[(pixels != IGNORE) & (pixels >= (2 if overlap else len(classes)))]
    if beyond.size:
        room = "each is there (1) or not (0)" if overlap else f"there are only {len(classes)} classes"
        raise ValueError(f"{path}: the mask holds the value {beyond[0]}, but {room}")
    if not overlap:
        return pixels
    if len(pixels) % len(classes):
        raise ValueError(f"{path}: the mask has {len(pixels)} rows, which are no {len(classes)} layers of one height")
    return pixels.reshape(len(classes), -1, pixels.shape[1])  # [C, H, W]


def main_metric(task: str, metrics: Mapping[str, float]) -> str | None:
    """The key that sums up one head: the first of mAP, AP, mIoU and macro_F1 among ``metrics``."""
    return next((key for name in MAIN_METRICS if (key := f"{task}/{name}") in metrics), None)


def trained_in_words(training: Mapping[str, Any]) -> str:
    """How long a round was trained and whether that was long enough; ``""`` where nothing looked.

    >>> trained_in_words({"steps": 650, "converged": True}), trained_in_words({"steps": 150, "converged": None})
    ('650 steps, converged', '')
    """
    if training.get("converged") is None:
        return ""
    return f"{training['steps']} steps, {'' if training['converged'] else 'not '}converged"


def _read_rounds(path: Path, first: int) -> tuple[Round, ...]:
    numbers = sorted(int(p.name) for p in (path / "rounds").iterdir() if _COMPLETE.fullmatch(p.name))
    return tuple(read_round(path, number) for number in numbers if number >= first)


def _read_round(path: Path) -> Round:
    record = _read_json(path / "metrics.json", "round", "labelled", "picked", "metrics", "class_counts")
    picks = pd.read_parquet(path / "picks.parquet")
    return Round(
        path=path,
        number=int(record["round"]),
        labelled=int(record["labelled"]),
        picked=int(record["picked"]),
        metrics={key: _number(value) for key, value in record["metrics"].items()},
        class_counts=record["class_counts"],
        picks=picks.sort_values("order", ignore_index=True),
        timings={stage: float(seconds) for stage, seconds in _read_json(path / "timings.json").items()},
        answers=record.get("answers", {}),
        val_labelled=int(record.get("val_labelled", 0)),
        training=record.get("training", {}),
        by_patient={task: _patients(told) for task, told in record.get("by_patient", {}).items() if told["metric"]},
        events=record.get("events", {}),
    )


def _patients(told: Mapping[str, Any]) -> Patients:
    values = {patient: _number(value) for patient, value in told["patients"].items()}
    return Patients(told["metric"], _number(told["mean"]), _number(told["worst"]), values)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read_json(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON object that has ``keys``."""
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a JSON object ({error})") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise ValueError(f"{path}: the keys {', '.join(missing)} are missing")
    return content


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
