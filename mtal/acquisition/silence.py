"""Scores and heads that have no say in a round."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from torch import Tensor

from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.score_table import Column, NanPolicy, ScoreTable

_Head = TypeVar("_Head")


def heard(heads: Mapping[str, _Head], silent: Collection[str]) -> dict[str, _Head] | None:
    """What is known of the heads that have a say; of all where none has one, ``None`` where nothing is known."""
    return {task: head for task, head in heads.items() if task not in silent} or dict(heads) or None


def warn_unlabelled(inactive_tasks: Collection[str]) -> None:
    """Name the heads that have no label so far, can be asked for in no frame that is left, or weigh nothing."""
    if inactive_tasks:
        warnings.warn(
            f"{', '.join(sorted(inactive_tasks))}: no label so far, or none left to ask for, or a weight of 0, so no "
            "say in this round; the weight is shared among the other heads",
            RoundWarning,
            stacklevel=3,
        )


def warn_missing(table: ScoreTable, policy: NanPolicy) -> None:
    """Name the columns that hold NaN, and what is done with these frames."""
    missing = table.values.isnan()  # [N, T]
    if missing.any():
        names = [
            f"{task}/{signal}" for (task, signal), some in zip(table.columns, missing.any(dim=0), strict=True) if some
        ]
        what = "left out" if policy == "drop_frame" else "given the median of the column"
        frames = int(missing.any(dim=1).sum())
        warnings.warn(
            f"NaN in {', '.join(names)}: {frames} of {len(table)} frames are {what}", RoundWarning, stacklevel=3
        )


def warn_constant(
    columns: Sequence[Column], frames: int, scored: Tensor, left: Tensor, inactive_tasks: Collection[str]
) -> None:
    """Name the columns that tell no frames apart, by themselves (not ``scored``) or once normalised (not ``left``)."""
    for constant, what in (
        (~scored, f"the same score on all {frames} frames"),
        (scored & ~left, f"the same on all {frames} frames once normalised, by an earlier round or within each video"),
    ):
        names = [
            f"{task}/{signal}"
            for (task, signal), is_constant in zip(columns, constant.tolist(), strict=True)
            if is_constant and task not in inactive_tasks
        ]
        if names:
            warnings.warn(
                f"{', '.join(names)}: {what}, so no say in this round; the weight is shared among the others",
                RoundWarning,
                stacklevel=3,
            )
