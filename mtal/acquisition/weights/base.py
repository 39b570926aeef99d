"""What a weighting promises: from what the labelled frames tell, a say for each head."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from mtal.refusals import refuse


@dataclass(frozen=True)
class PastRound:
    """What is known of an earlier round.

    Args:
        labelled: number of labelled frames that the round's model was trained on.
        scores: task to its out-of-fold score in [0, 1]; a task that could not be scored is absent.
        weights: task to the weight it had when the frames of the *next* round were picked; empty for the last one.

    Raises:
        ValueError: a score lies outside [0, 1] or comes from no labelled frame, or a weight is negative or not finite.
    """

    labelled: int
    scores: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.labelled < (1 if self.scores else 0):
            yield f"labelled is {self.labelled}; a round with scores has one labelled frame or more"
        for task, score in self.scores.items():
            if not 0 <= score <= 1:
                yield f"the score of {task} must lie in [0, 1], not {score}"
        for task, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                yield f"the weight of {task} must be 0 or more and finite, not {weight}"


@dataclass(frozen=True)
class Evidence:
    """What is known of each head when a round begins: from labelled frames and the pool, never from test frames.

    Args:
        classes: task to the names of its classes.
        out_of_fold: task to class to its score in [0, 1] on labelled frames that the scoring model did not see (average
            precision, IoU or F1); a class that could not be scored (no positive) is absent.
        counts: task to class to the number of labelled frames that show it.
        history: rounds so far, oldest first, the present one last.
        gradient_length: task to the mean length of its shared-representation gradient over the pool.

    Raises:
        ValueError: a score lies outside [0, 1] or names an unknown task or class.
    """

    classes: Mapping[str, tuple[str, ...]]
    out_of_fold: Mapping[str, Mapping[str, float]] | None = None
    counts: Mapping[str, Mapping[str, int]] | None = None
    history: tuple[PastRound, ...] | None = None
    gradient_length: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, by_class in (("out_of_fold", self.out_of_fold), ("counts", self.counts)):
            for task, values in (by_class or {}).items():
                unknown = [c for c in values if c not in self.classes.get(task, ())]
                if unknown:
                    yield f"{name}.{task} names {unknown[0]!r}, which is no class of a head given"
        for task, scores in (self.out_of_fold or {}).items():
            for name, score in scores.items():
                if not 0 <= score <= 1:
                    yield f"out_of_fold.{task}.{name} must lie in [0, 1], not {score}"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the heads."""
        return tuple(self.classes)


class HeadWeights(ABC):
    """:class:`Evidence` to a weight ≥ 0 of each head, at least one of them above 0; their mean is 1.

    Attributes:
        needs: which of ``"out_of_fold"``, ``"counts"``, ``"history"``, ``"gradient_length"`` the evidence has to bring.

    Raises:
        ValueError: something needed is missing.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Task to weight, mean 1."""
        for need in sorted(self.needs):
            if getattr(evidence, need) is None:
                raise ValueError(f"{type(self).__name__} needs Evidence.{need}")
        weights = self.weigh(evidence)
        total = math.fsum(weights.values())
        if not (0 < total < math.inf) or min(weights.values()) < 0:
            raise ValueError(f"{type(self).__name__} gives {weights}; weights are 0 or more, finite and not all 0")
        return {task: weight * len(weights) / total for task, weight in weights.items()}

    @abstractmethod
    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """Task to weight ≥ 0, not all 0, in any unit."""

    def class_weights(self, evidence: Evidence) -> dict[str, Tensor]:
        """Task to ``[C]`` weights ≥ 0 of its classes, mean 1; all 1 unless a rule says otherwise."""
        return {task: torch.ones(len(names), dtype=torch.float64) for task, names in evidence.classes.items()}
