"""More say for what has more left to learn."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mtal.acquisition.weights.base import Evidence, HeadWeights
from mtal.refusals import refuse


class Headroom(HeadWeights):
    """wₜ = max(1 − scoreₜ, floor)^exponent, the score out of fold on the labelled frames, its classes averaged.

    A normaliser gives a head that has nothing left to learn the same say as one that has; this takes it back. Within a
    head, each class gets its own headroom. A class that could not be scored, having no positive, is as unknown as can
    be: its headroom is 1 within its head; heads are judged by the classes that could be. A head without any score has
    nothing to be judged by: it gets the mean weight of the others, or 1 if there is none.

    Cost: O(T·C) after cross-validation on the labelled frames.

    Args:
        exponent: 0 gives all heads the same say, 1 a say in proportion, more sharpens.
        floor: smallest headroom, so that no head falls silent; in (0, 1].

    Raises:
        ValueError: the exponent is negative or not finite, or the floor is not in (0, 1].

    >>> classes = {"tools": ("hook", "grasper"), "anatomy": ("liver",)}
    >>> scores = {"tools": {"hook": 0.95, "grasper": 0.85}, "anatomy": {"liver": 0.7}}
    >>> weights = Headroom()(Evidence(classes, out_of_fold=scores))  # headroom 0.1 and 0.3
    >>> {task: round(weight, 6) for task, weight in weights.items()}
    {'tools': 0.5, 'anatomy': 1.5}
    """

    needs = frozenset({"out_of_fold"})

    def __init__(self, exponent: float = 1.0, floor: float = 0.02) -> None:
        self.exponent = exponent
        self.floor = floor
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 <= self.exponent < math.inf:
            yield f"exponent must be 0 or more and finite, not {self.exponent}"
        if not 0 < self.floor <= 1:
            yield f"floor must lie in (0, 1], not {self.floor}"

    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """Headroom of each task to the power, over the largest."""
        assert evidence.out_of_fold is not None  # for the type checker; needs says so
        means = {task: math.fsum(found.values()) / len(found) for task, found in evidence.out_of_fold.items() if found}
        powers = self._powers(means)
        neutral = math.fsum(powers.values()) / len(powers) if powers else 1.0
        return {task: powers.get(task, neutral) for task in evidence.tasks}

    def class_weights(self, evidence: Evidence) -> dict[str, Tensor]:
        """Task to ``[C]`` headroom of its classes to the power, mean 1."""
        assert evidence.out_of_fold is not None
        weights = {}
        for task, names in evidence.classes.items():
            found = evidence.out_of_fold.get(task, {})
            powers = self._powers({name: found.get(name, 0.0) for name in names})
            column = torch.tensor([powers[name] for name in names], dtype=torch.float64)  # [C]
            weights[task] = column / column.mean()
        return weights

    def _powers(self, scores: dict[str, float]) -> dict[str, float]:
        """Headroom over the largest headroom, to the power: at most 1, so that no power is out of range."""
        headroom = {name: max(1 - score, self.floor) for name, score in scores.items()}
        most = max(headroom.values(), default=1.0)
        return {name: (left / most) ** self.exponent for name, left in headroom.items()}
