"""What a strategy is repeated with: seeds, or folds of the patients that are tested on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison.bootstrap import FEWEST
from mtal.reporting.comparison.learning_curve import Curves
from mtal.reporting.comparison.strategies import Repeat, Setting

Floats = npt.NDArray[np.float64]


def by_fold(setting: Setting) -> bool:
    """Whether folds are what is drawn for intervals: where there are enough of them."""
    return len(_folds(setting)) >= FEWEST


def repeated(found: Mapping[Repeat, Floats], by_fold: bool) -> Curves:
    """One curve per fold, the mean over its seeds, or else one per run, numbered by seed or 1000 · fold + seed."""
    members: dict[int, list[Floats]] = {}
    for repeat, values in found.items():
        unit = repeat.fold if by_fold else max(repeat.fold, 0) * 1000 + repeat.seed
        members.setdefault(unit, []).append(values)
    units = sorted(members)
    return Curves(tuple(units), np.stack([np.mean(members[unit], axis=0) for unit in units]))


def notes_of_folds(setting: Setting) -> list[str]:
    """What must be known of folds of patients."""
    folds = _folds(setting)
    if not folds:
        return []
    if by_fold(setting):
        told = "a fold counts once, as the mean over its seeds, so intervals and tests are over seeds and test patients"
        return [f"Each strategy was tested on {len(folds)} folds of patients; {told} together."]
    told = "too few for an interval over patients: intervals and tests are over runs, and hold for these patients alone"
    return [f"The folds of patients are {len(folds)}, {told}."]


def _folds(setting: Setting) -> set[int]:
    return {repeat.fold for s in setting.strategies for repeat in s.runs if repeat.fold >= 0}
