"""Whether heads were trained to their end in the runs that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtal.reporting.run_reader import Run


@dataclass(frozen=True)
class TrainingLengths:
    """Of the trainings that sought their length, all rounds of all runs.

    Args:
        trainings: how many there are; 0 where all had a fixed number of steps.
        converged: how many stopped because held-out labels no longer got better; the others spent their steps first.
        median_steps: that they took; NaN where there are none.
    """

    trainings: int
    converged: int
    median_steps: float

    def in_words(self) -> list[str]:
        """What the reader must know of it: a sentence where not all converged, else none."""
        if self.converged == self.trainings:
            return []
        counted = f"{self.converged} of {self.trainings} trainings converged"
        return [f"{counted}; the others spent their steps (trainer.most_steps) first, and more may give other scores."]


def training_lengths(runs: Sequence[Run]) -> TrainingLengths:
    """Of all rounds of ``runs`` whose trainer judged when to stop."""
    told = [this.training for run in runs for this in run.rounds if this.training.get("converged") is not None]
    steps = float(np.median([this["steps"] for this in told])) if told else float("nan")
    return TrainingLengths(len(told), sum(bool(this["converged"]) for this in told), steps)
