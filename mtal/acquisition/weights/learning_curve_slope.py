"""More say for the head that learns fastest from new labels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mtal.acquisition.weights.base import Evidence, HeadWeights, PastRound
from mtal.refusals import refuse


class LearningCurveSlope(HeadWeights):
    """wₜ = max(bₜ·log 2, floor), bₜ the least-squares slope of scoreₜ against log(labelled) over the last rounds.

    Learning curves are near to straight lines in the logarithm of the labels, so bₜ·log 2 is the gain to expect of
    doubling the labels, and bₜ/labelled that of one more frame; every frame is labelled for all heads, so both rank the
    heads the same. A head with fewer than two scored rounds in that time, of different numbers of labels, gets the mean
    weight of the others. Without any such head, as in the first round, all get the same.

    Cost: O(T) after cross-validation on the labelled frames.

    Args:
        rounds: how many rounds count, the present one among them; 2 or more.
        floor: smallest gain per doubling; a head that stands still or gets worse has this.

    Raises:
        ValueError: fewer than 2 rounds, or the floor is not above 0 or not finite.

    >>> rounds = (PastRound(100, {"tools": 0.8, "anatomy": 0.3}), PastRound(200, {"tools": 0.81, "anatomy": 0.36}))
    >>> evidence = Evidence({"tools": ("hook",), "anatomy": ("liver",)}, history=rounds)
    >>> weights = LearningCurveSlope()(evidence)  # gains 0.01 and 0.06
    >>> {task: round(weight, 6) for task, weight in weights.items()}
    {'tools': 0.285714, 'anatomy': 1.714286}
    """

    needs = frozenset({"history"})

    def __init__(self, rounds: int = 3, floor: float = 0.005) -> None:
        self.rounds = rounds
        self.floor = floor
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.rounds < 2:
            yield f"rounds must be 2 or more, not {self.rounds}"
        if not 0 < self.floor < math.inf:
            yield f"floor must be above 0 and finite, not {self.floor}"

    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """Expected gain of each task when the labels double."""
        assert evidence.history is not None  # for the type checker; needs says so
        recent = evidence.history[-self.rounds :]
        slopes = {task: _slope([one for one in recent if task in one.scores], task) for task in evidence.tasks}
        gains = {task: max(b * math.log(2), self.floor) for task, b in slopes.items() if b is not None}
        neutral = math.fsum(gains.values()) / len(gains) if gains else 1.0
        return {task: gains.get(task, neutral) for task in evidence.tasks}


def _slope(rounds: list[PastRound], task: str) -> float | None:
    """Least-squares slope of the task's score against log(labelled), ``None`` where no line is defined."""
    if len({one.labelled for one in rounds}) < 2:
        return None
    x = np.log([one.labelled for one in rounds])  # [rounds]
    x -= x.mean()
    return float(x @ [one.scores[task] for one in rounds] / (x @ x))
