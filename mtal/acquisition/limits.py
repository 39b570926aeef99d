"""What constrains a batch, whoever picks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from mtal.acquisition.costs import AnnotationCost
from mtal.acquisition.query import AllHeads, Query
from mtal.acquisition.selectors.base import Candidates
from mtal.acquisition.selectors.cap import Cap
from mtal.acquisition.selectors.constraints import Rule
from mtal.acquisition.selectors.cost_budget import CostBudget
from mtal.acquisition.selectors.minimum_gap import MinimumGap
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse

Most = int | Literal["even", "quota"] | None


@dataclass(frozen=True)
class Limits:
    """How near, how many of one kind, and how dear picks may be.

    Args:
        minimum_gap_s: seconds between picks of one video, and between them and labelled frames; 0 for none.
        max_per_video: most picks of one video in a batch; ``"even"`` for a second one only when every video with
            frames left has one, and so on; ``None`` for any number.
        max_per_patient: the same of a patient; ``"quota"`` is ``"even"`` over labelled frames and picks together: none
            of a patient while another with frames left has fewer.
        cost: annotator seconds that a frame takes; needed for a budget in seconds.
        query: which heads of a picked frame are asked for; all of them by default.

    Raises:
        ValueError: a number is out of its range.

    >>> from mtal.acquisition import Moments, tie_break
    >>> limits = Limits(minimum_gap_s=5, max_per_video=2)
    >>> names = ["a/000000", "a/000025", "a/000050"]
    >>> candidates = Candidates(tie_break(0, names), moments=Moments(np.zeros(3), np.arange(3.0)))
    >>> [type(rule).__name__ for rule in limits(candidates)]
    ['MinimumGap', 'Cap']
    """

    minimum_gap_s: float = 0.0
    max_per_video: Most = None
    max_per_patient: Most = None
    cost: AnnotationCost | None = None
    query: Query = field(default_factory=AllHeads)

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not (is_number(self.minimum_gap_s) and self.minimum_gap_s >= 0):
            yield f"minimum_gap_s must be 0 seconds or more, not {self.minimum_gap_s}"
        for name, limit in (("max_per_video", self.max_per_video), ("max_per_patient", self.max_per_patient)):
            words = ("even", "quota") if name == "max_per_patient" else ("even",)
            if not (limit is None or limit in words or (is_whole(limit) and limit >= 1)):
                yield f"{name} must be 1 frame or more, {', '.join(words)}, or null for any number, not {limit}"

    def __call__(
        self, candidates: Candidates, budget_s: float | None = None, budget_answers: int | None = None
    ) -> list[Rule]:
        """Fresh rules for one batch of candidates, the most important first.

        Args:
            candidates: with their moments for a gap and a cap per video, their patients for a cap per patient, and
                what the budget counts: ``cost_s`` or ``answers``.
            budget_s: annotator seconds to spend at most; ``None`` for no such limit.
            budget_answers: answers to ask for at most; ``None`` for no such limit.

        Raises:
            ValueError: something needed is missing.
        """
        moments, patients = candidates.moments, candidates.patients
        rules: list[Rule] = []
        if self.minimum_gap_s > 0:
            if moments is None:
                raise ValueError(
                    f"minimum_gap_s is {self.minimum_gap_s:g}: give the moments of the candidates, or set it to 0"
                )
            rules.append(MinimumGap(self.minimum_gap_s, moments, candidates.labelled_moments))
        if self.max_per_video is not None:
            if moments is None:
                raise ValueError("max_per_video: give the moments of the candidates, or set it to null")
            rules.append(_cap(self.max_per_video, moments.video, "video"))
        if self.max_per_patient is not None:
            if patients is None:
                raise ValueError("max_per_patient: give the patients of the candidates, or set it to null")
            counted = candidates.labelled_patients if self.max_per_patient == "quota" else None
            rules.append(_cap(self.max_per_patient, patients, "patient", counted))
        return [*rules, *_budgets(candidates, budget_s, budget_answers)]


def _cap(
    limit: int | str, groups: npt.NDArray[np.int64], name: str, labelled: npt.NDArray[np.int64] | None = None
) -> Cap:
    if not isinstance(limit, str):
        return Cap(limit, groups, name=name)
    codes, counts = np.unique([] if labelled is None else labelled, return_counts=True)
    already = {int(code): int(count) for code, count in zip(codes, counts, strict=True)}
    return Cap(1, groups, already, name=name, told=False)


def _budgets(candidates: Candidates, budget_s: float | None, budget_answers: int | None) -> list[Rule]:
    rules: list[Rule] = []
    if budget_s is not None:
        if candidates.cost_s is None:
            raise ValueError(f"a budget of {budget_s:g} seconds needs the cost of each frame: set acquisition.cost")
        rules.append(CostBudget(budget_s, candidates.cost_s))
    if budget_answers is not None:
        if candidates.answers is None:
            raise ValueError(f"a budget of {budget_answers} answers needs the number of answers of each frame")
        rules.append(CostBudget(budget_answers, candidates.answers, unit="answers"))
    return rules
