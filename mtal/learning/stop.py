"""When a run ends before its last round: because nothing is left to pick, or because more labels would teach little."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.acquisition import Acquisition, Entropy, ScoreTable
from mtal.learning.run_folder import RunFolder
from mtal.numbers import is_whole
from mtal.refusals import refuse
from mtal.whole_files import write_whole

STOPPED = "stopped.json"
"""In the run folder: after how many rounds the run stopped, and why. Written for readers; :func:`reason` decides."""


@dataclass(frozen=True)
class StopRule:
    """Stop early.

    Args:
        val_flat_rounds: stop when the joint score of the split ``val`` has not risen for so many rounds; ``None`` for
            never.
        val_tolerance: what it must rise by to count as risen.
        uncertainty_below: stop when the mean entropy of the pool, averaged over the heads that have labels, is below
            this; ``None`` for never. Entropy is 0 where a head is certain and 1 where it knows nothing.

    Raises:
        ValueError: a number is out of range.
    """

    val_flat_rounds: int | None = None
    val_tolerance: float = 0.005
    uncertainty_below: float | None = None

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        rounds = self.val_flat_rounds
        if rounds is not None and not (is_whole(rounds) and rounds >= 1):
            yield f"loop.stop.val_flat_rounds must be a number of rounds of at least 1, or null, not {rounds}"
        if not 0 <= self.val_tolerance < 1:
            yield f"loop.stop.val_tolerance must be at least 0 and below 1, not {self.val_tolerance}"
        if self.uncertainty_below is not None and not 0 < self.uncertainty_below <= 1:
            yield f"loop.stop.uncertainty_below must be above 0 and at most 1, not {self.uncertainty_below}"

    def check(self, acquisition: Acquisition, val_frames: int) -> None:
        """Refuse what could never stop a run.

        Raises:
            ValueError: the rule reads frames or scores that there are none of.
        """
        if self.val_flat_rounds is not None and not val_frames:
            raise ValueError(
                "loop.stop.val_flat_rounds reads the split val, and no frame is in it: name patients or videos by the "
                "data set's option for it, such as data.val_patients, or set it to null"
            )
        entropy = any(isinstance(signal, Entropy) for signal in acquisition.measurement.signals.values())
        if self.uncertainty_below is not None and not (entropy and acquisition.reads_the_pool):
            what = "acquisition/signals=entropy" if not entropy else "a selector that looks at the pool"
            raise ValueError(
                f"loop.stop.uncertainty_below reads the entropy of the pool: choose {what}, or set it to null"
            )

    def flat(self, scores: Sequence[float]) -> bool:
        """Whether the last of the ``scores`` of ``val``, one per round, are no better than those before them."""
        if self.val_flat_rounds is None or len(scores) <= self.val_flat_rounds:
            return False
        known = [-math.inf if math.isnan(s) else s for s in scores]
        return max(known[-self.val_flat_rounds :]) <= max(known[: -self.val_flat_rounds]) + self.val_tolerance

    def certain(self, uncertainty: float) -> bool:
        """Whether a mean entropy of the pool is below the threshold."""
        return self.uncertainty_below is not None and uncertainty < self.uncertainty_below


class PoolIsDoneError(Exception):
    """Raised in a round that is not to be, after a look at the pool.

    Args:
        reason: in words.
        uncertainty: mean entropy of the pool, where that is the reason.
    """

    def __init__(self, reason: str, uncertainty: float | None = None) -> None:
        super().__init__(reason)
        self.uncertainty = uncertainty


def uncertainty(
    acquisition: Acquisition,
    table: ScoreTable,
    silent: Collection[str],
    askable: Mapping[str, npt.NDArray[np.bool_]] | None = None,
) -> float:
    """Mean entropy of the pool, averaged over the heads that have labels; NaN where none has.

    Args:
        acquisition: says which columns are entropies.
        table: scores of the pool.
        silent: heads without a label.
        askable: task to whether it can be asked for in each frame, ``[N]``; a head does not count in a frame where it
            cannot. Everywhere where not given.
    """
    names = {name for name, signal in acquisition.measurement.signals.items() if isinstance(signal, Entropy)}
    means = []
    for column, (task, name) in zip(table.values.numpy().T, table.columns, strict=True):  # noqa: PD011  a tensor
        counts = (askable or {}).get(task, np.ones(len(column), dtype=bool))
        if name in names and task not in silent and counts.any():
            means.append(float(column[counts].mean()))
    return float(np.mean(means)) if means else math.nan


def reason(folder: RunFolder, rule: StopRule) -> str:
    """Why a run is to have no more rounds than are complete, whatever ``loop.rounds`` says; ``""`` if it may go on.

    Nothing but the folder is looked at, so a rule that was changed decides anew.
    """
    complete = folder.complete_rounds()
    if not complete or not (folder.path / "frames.parquet").is_file():
        return ""
    pool = int((pd.read_parquet(folder.path / "frames.parquet", columns=["split"])["split"] == "pool").sum())
    if int(folder.metrics(complete - 1)["labelled"]) >= pool:
        return f"all {pool} frames of the pool are labelled"
    if rule.val_flat_rounds is not None:
        scores = [_val_score(folder, number) for number in range(complete)]
        if rule.flat(scores):
            return (
                f"the joint score of val has not risen by more than {rule.val_tolerance:g} for {rule.val_flat_rounds} "
                f"round{'' if rule.val_flat_rounds == 1 else 's'}"
            )
    noted = _noted(folder)
    if noted.get("rounds") == complete and noted.get("looked"):
        seen = noted["uncertainty"]
        if seen is None or rule.certain(seen):
            return str(noted["reason"])
    return ""


def note(folder: RunFolder, why: str, looked: PoolIsDoneError | None = None) -> None:
    """Keep for readers that, and why, a run stopped after its complete rounds; take it away where ``why`` is empty.

    Args:
        folder: the run.
        why: in words.
        looked: the look at the pool that the next start need not repeat.
    """
    if not why:
        (folder.path / STOPPED).unlink(missing_ok=True)
        return
    before = _noted(folder)
    content = {"rounds": folder.complete_rounds(), "reason": why, "looked": looked is not None}
    content["uncertainty"] = None if looked is None else looked.uncertainty
    if before.get("reason") != why or before.get("rounds") != content["rounds"]:
        write_whole(folder.path / STOPPED, json.dumps(content, indent=1))


def _noted(folder: RunFolder) -> dict[str, Any]:
    file = folder.path / STOPPED
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _val_score(folder: RunFolder, number: int) -> float:
    joint = folder.metrics(number).get("val", {}).get("joint")
    return math.nan if joint is None else float(joint)
