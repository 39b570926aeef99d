"""What a strategy is repeated with: seeds, or folds of the patients that are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison.bootstrap import FEWEST
from mtal.reporting.comparison.learning_curve import Curves
from mtal.reporting.comparison.strategies import Repeat, Setting

Floats = npt.NDArray[np.float64]


def repeated_by(setting: Setting) -> Literal["fold", "run", "seed"]:
    """What is drawn for intervals: folds where there are enough of them, runs where they are too few."""
    folds = len(_folds(setting))
    return "fold" if folds >= FEWEST else "run" if folds else "seed"


def repeated(found: Mapping[Repeat, Floats], setting: Setting) -> Curves:
    """One curve per fold, the mean over its seeds, or one per run, by its number (:func:`run_numbers`) or seed."""
    by = repeated_by(setting)
    if by == "fold":
        return mean_by_fold(found)
    number = run_numbers(setting) if by == "run" else {repeat: repeat.seed for repeat in found}
    order = sorted(found, key=lambda repeat: number[repeat])
    return Curves(tuple(number[repeat] for repeat in order), np.stack([found[repeat] for repeat in order]))


def mean_by_fold(found: Mapping[Repeat, Floats]) -> Curves:
    """One curve per fold, the mean over its seeds."""
    runs: dict[int, dict[int, Floats]] = {}
    for repeat, values in found.items():
        runs.setdefault(repeat.fold, {})[repeat.seed] = values
    return Curves.of_folds(runs, len(next(iter(found.values()))))


def run_numbers(setting: Setting) -> dict[Repeat, int]:
    """The pairs of fold and seed that any strategy was run with, numbered by fold and then by seed."""
    pairs = sorted({repeat for s in setting.strategies for repeat in s.runs})
    return {repeat: number for number, repeat in enumerate(pairs)}


def notes_of_folds(setting: Setting) -> list[str]:
    """What must be known of folds of patients."""
    folds = _folds(setting)
    if not folds:
        return []
    if repeated_by(setting) == "fold":
        told = "a fold counts once, as the mean over its seeds, so intervals and tests are over seeds and test patients"
        return [f"Each strategy was tested on {len(folds)} folds of patients; {told} together."]
    told = "too few for an interval over patients: intervals and tests are over runs, and hold for these patients alone"
    return [f"The folds of patients are {len(folds)}, {told}."]


def _folds(setting: Setting) -> set[int]:
    return {repeat.fold for s in setting.strategies for repeat in s.runs if repeat.fold >= 0}
