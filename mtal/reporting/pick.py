"""One picked frame as it is shown: where it is from, why it was picked, and its labels in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtal.reporting.run_reader import IGNORE, Run, Task


@dataclass(frozen=True)
class Score:
    """Value of one signal of one head, and how many % of that round's pool scored lower; equal ones count half."""

    task: str
    signal: str
    value: float
    percentile: float


@dataclass(frozen=True)
class Pick:
    """One row of ``picks.parquet``.

    ``labels`` holds, per frame-level task, the names of the classes that are present, or None where the task is not
    annotated in this frame; ``partly`` the tasks of which some classes are annotated in it and others not;
    ``not_asked`` the tasks that it was not asked for, as others were worth more.
    ``file`` is the name of its picture or video, "" for runs that did not keep it.
    """

    order: int
    frame_id: str
    patient: str
    video: str
    frame: int
    time_s: float
    utility: float
    reason: str
    scores: tuple[Score, ...]
    labels: Mapping[str, tuple[str, ...] | None]
    not_asked: frozenset[str] = frozenset()
    file: str = ""
    partly: frozenset[str] = frozenset()

    def in_words(self, task: str, present: tuple[str, ...] | None) -> str:
        """What is said of the classes of a task in this frame."""
        if present is None:
            return "not asked" if task in self.not_asked else "not annotated"
        return ", ".join(present) or ("none of those annotated" if task in self.partly else "none")


def loudest(picks: pd.DataFrame, tasks: Iterable[str]) -> dict[str, float]:
    """Share of the picks for which each head spoke loudest, and where signals of all heads together did, ``shared``.

    Empty where the picks went by no head; else the shares add up to 1.
    """
    reasons = picks.get("reason_task", pd.Series(dtype=object)).dropna()
    heads = dict.fromkeys([*tasks, *sorted(set(reasons))])
    return {head: float((reasons == head).mean()) for head in heads} if len(reasons) else {}


def picks_of(run: Run, number: int) -> list[Pick]:
    """The picks of round ``number`` of ``run`` in order of choice."""
    this = next(r for r in run.rounds if r.number == number)
    rows = [{str(key): value for key, value in row.items()} for row in this.picks.to_dict("records")]
    chosen = list(run.tasks) if _chooses_heads(run.config) else []  # else only what nobody could answer is not asked
    return [_pick(row, number, run.frame_tasks(), chosen) for row in rows]


def ordinal(percentile: float) -> str:
    """``98.7`` → ``"98th"``: rounded down, so that only the very top of the pool is called the 100th.

    >>> [ordinal(p) for p in (1, 12.4, 22, 99.99, 100)]
    ['1st', '12th', '22nd', '99th', '100th']
    """
    whole = int(percentile)
    suffix = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{suffix}"


def _chooses_heads(config: Mapping[str, Any]) -> bool:
    query = (config.get("acquisition") or {}).get("query") or {}
    return not str(query.get("_target_", "AllHeads")).endswith("AllHeads")


def _pick(row: dict[str, Any], number: int, tasks: Sequence[Task], chosen: Sequence[str]) -> Pick:
    return Pick(
        order=int(row["order"]),
        frame_id=str(row["frame_id"]),
        patient=str(row["patient"]),
        video=str(row["video"]),
        frame=int(row["frame"]),
        time_s=float(row["time_s"]),
        utility=_number(row.get("utility")),
        reason=_reason(row, number),
        scores=_scores(row),
        labels={task.name: _present(row.get(f"label/{task.name}"), task) for task in tasks},
        not_asked=frozenset(task for task in chosen if not row.get(f"asked/{task}", True)),
        file=Path(str(row.get("file", ""))).name,
        partly=frozenset(task.name for task in tasks if _is_partly(row.get(f"label/{task.name}"))),
    )


def _reason(row: Mapping[str, Any], number: int) -> str:
    because = row.get("reason_because")
    more = [] if _absent(because) or not because else [str(because)]
    task, signal = row.get("reason_task"), row.get("reason_signal")
    if number == 0:
        return " · ".join(["initial set", *more])
    if _absent(task) or _absent(signal):
        return " · ".join(more) or "picked without scores"
    percentile = _number(row.get("reason_percentile"))
    where = [] if np.isnan(percentile) else [f"{ordinal(percentile)} percentile"]
    return " · ".join([str(task), str(signal).replace("_", " "), *where, *more])


def _scores(row: Mapping[str, Any]) -> tuple[Score, ...]:
    scores = []
    for column, value in row.items():
        if column.startswith("score/"):
            _, task, signal = column.split("/", 2)
            score = Score(task, signal, _number(value), _number(row.get(f"percentile/{task}/{signal}")))
            scores.append(score)
    return tuple(scores)


def _present(label: Any, task: Task) -> tuple[str, ...] | None:
    """Class names from ``[C]`` zeros and ones (Bernoulli) or from one class number (categorical)."""
    if label is None:
        return None
    values = np.atleast_1d(np.asarray(label))
    if bool(pd.isna(values).any()) or (values == IGNORE).all():
        return None
    if task.family == "categorical":
        return (task.classes[int(values[0])],)
    return tuple(name for name, value in zip(task.classes, values, strict=True) if value == 1)


def _is_partly(label: Any) -> bool:
    """Whether somebody looked for some of the classes and for others nobody did."""
    unknown = np.atleast_1d(np.asarray(IGNORE if label is None else label)) == IGNORE
    return bool(unknown.any() and not unknown.all())


def _number(value: Any) -> float:
    return float("nan") if _absent(value) else float(value)


def _absent(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
