"""Frames that are expected to show what few labelled frames show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, Picked, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import leading
from mtal.acquisition.shown import Shown

Floats = npt.NDArray[np.float64]

_AT_ONCE = 256  # gains brought up to date at first
_BLOCK = 1 << 15  # frames in memory with all their answers


class ClassCover(Selector):
    """argmaxᵢ Σₜ Cₜ⁻¹ Σ_c [log(1 + n_tc + p_itc) − log(1 + n_tc)]: the frame expected to add most to what few show.

    n_tc is how many frames show class c of head t: counted of the labelled ones, expected of those picked before, and
    p_itc the calibrated probability that frame i shows it (:func:`~mtal.acquisition.shown.fit_presence`). Each doubling
    of what is there of a class is worth the same, and all heads have an equal say, so classes that are rare in any head
    decide. Where predictions say nothing all frames of the pool are alike, and the hash decides. Gains only shrink,
    so the greedy batch is at least 1 − 1/e of the best one (Nemhauser, Wolsey and Fisher, Mathematical Programming
    1978), and most need not be computed again (Minoux, 1978).

    Cost: O(N·C) once, then a few hundred frames per pick; up to O(N·C) per pick where predictions hardly differ.

    >>> shown = Shown(
    ...     classes={"tools": ("hook",)}, expected={"tools": np.array([[0.2], [0.9], [0.8]])},
    ...     known={"tools": np.array([[1.0]])}, headroom={"tools": np.ones(1)}, absence=frozenset(),
    ...     patients=np.zeros(3, dtype=np.int64), labelled_patients=np.zeros(1, dtype=np.int64),
    ... )
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), shown=shown)
    >>> ClassCover()(candidates, 2, np.random.default_rng(0)).tolist()
    [1, 2]
    """

    needs = frozenset({"shown"})
    because: ClassVar[str] = "expected to show what few labelled frames show"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame of largest gain, and for which class it is."""
        gains = self.gains(candidates, constraint)
        while True:
            pick = gains.best(constraint.allowed(), candidates.tie_break)
            yield Picked(pick, gains.words(pick))
            gains.add(pick)

    def gains(self, candidates: Candidates, constraint: Constraint) -> CoverGains:
        """What each frame adds before the first pick."""
        shown = shown_of(candidates)
        answers = all_answers(shown, shown.expected, absence=False)
        one = np.zeros(len(shown), dtype=np.int64)
        known = answers.known.sum(axis=0, keepdims=True)  # [1, A]
        return CoverGains(answers, np.full(len(answers.share), 1.0), one, known, alike=0.0, factor=np.ones(len(shown)))


@dataclass(frozen=True)
class Answers:
    """The A answers that heads may get: one per class, and one per absent class where that is an answer.

    Args:
        names: ``[A]`` in words.
        share: ``[A]`` of the mean over heads and their classes.
        headroom: ``[A]``.
        expected: ``[N, A]`` probability of the answer.
        known: ``[M, A]`` 0 or 1.
    """

    names: tuple[str, ...]
    share: Floats
    headroom: Floats
    expected: Floats
    known: Floats


def all_answers(shown: Shown, expected: Mapping[str, Floats], *, absence: bool) -> Answers:
    """Of all heads side by side, in the order of their names.

    Args:
        shown: what is known.
        expected: task to ``[N, C]``, NaN where nothing is to be had.
        absence: whether an absent class counts as an answer where it is one.
    """
    names: list[str] = []
    columns: list[tuple[Floats, Floats, Floats, Floats]] = []
    for task in sorted(shown.classes):
        p, y = expected[task], shown.known[task]  # [N, C], [M, C]
        both = absence and task in shown.absence
        each = np.full(p.shape[1], 1 / (p.shape[1] * (2 if both else 1)))
        names += [f"{task}: {name}" for name in shown.classes[task]]
        columns.append((each, shown.headroom[task], np.nan_to_num(p), np.nan_to_num(y)))
        if both:
            names += [f"{task}: no {name}" for name in shown.classes[task]]
            columns.append((each, shown.headroom[task], np.nan_to_num(1 - p), np.nan_to_num(1 - y)))
    share, headroom, p, y = (np.concatenate(part, axis=-1) for part in zip(*columns, strict=True))
    return Answers(tuple(names), share / len(shown.classes), headroom, p, y)


class CoverGains:
    """factorᵢ·Σ_a w_a·[log(1 + m_a + Δᵢₐ) − log(1 + m_a)], m_a = Σ_g e(n_ga) over groups g, which only shrinks.

    n frames of a group are worth e(n) = n/(1 + (n − 1)·ρ) independent ones (the design effect of Kish, 1965; n itself
    up to one frame), ρ how much alike they are, and Δᵢₐ = pᵢₐ·[e(n + 1) − e(n)] is what one more of them adds.

    Args:
        answers: A of them.
        weight: ``[A]`` ≥ 0, times the share of each answer.
        groups: ``[N]`` codes from 0 of rows of ``counts``.
        counts: ``[G, A]`` of labelled frames.
        alike: ρ, 0 to 1.
        factor: ``[N]`` ≥ 0.
    """

    def __init__(
        self,
        answers: Answers,
        weight: Floats,
        groups: npt.NDArray[np.int64],
        counts: Floats,
        *,
        alike: float,
        factor: Floats,
    ) -> None:
        self._answers = answers
        self._weight = answers.share * weight  # [A]
        self._groups = groups
        self._counts = counts.astype(np.float64)  # [G, A]
        self._alike = alike
        self._factor = factor
        self._labelled = answers.known.sum(axis=0)  # [A]
        self._total = self._worth(self._counts).sum(axis=0)  # [A]
        self._bound = np.full(len(groups), np.inf)
        self._seen = np.full(len(groups), -1)
        self._picks = 0
        self._settle(np.arange(len(groups)))

    def best(self, allowed: npt.NDArray[np.bool_], hashes: npt.NDArray[np.uint64]) -> int:
        """Position of the largest gain of those allowed, the smallest hash among equals."""
        places = np.flatnonzero(allowed)
        many = _AT_ONCE
        while True:
            front = places[leading(self._bound[places], hashes[places], many)]
            if self._seen[front[0]] == self._picks:
                return int(front[0])
            self._settle(front[self._seen[front] < self._picks])
            many *= 2  # where predictions are alike bounds are, too, and few at a time would be many passes

    def add(self, pick: int) -> None:
        """Count what the frame is expected to show."""
        row = self._counts[self._groups[pick]]  # a view
        before = self._worth(row)
        row += self._answers.expected[pick]
        self._total += self._worth(row) - before
        self._picks += 1

    def words(self, pick: int) -> str:
        """For which answer the frame gains most, and how often that was labelled."""
        parts = self._parts(np.array([pick]))[0]  # [A]
        if parts.max() <= 0:
            return "nothing told it from the other frames"
        a = int(parts.argmax())
        return f"most for {self._answers.names[a]}, labelled in {self._labelled[a]:.0f} frames so far"

    def _settle(self, places: npt.NDArray[np.intp]) -> None:
        for start in range(0, len(places), _BLOCK):
            some = places[start : start + _BLOCK]
            self._bound[some] = self._factor[some] * self._parts(some).sum(axis=1)
        self._seen[places] = self._picks

    def _parts(self, places: npt.NDArray[np.intp]) -> Floats:
        """Gain by answer, ``[P]`` to ``[P, A]``."""
        counts = self._counts[self._groups[places]]  # [P, A]
        more = self._answers.expected[places] * (self._worth(counts + 1) - self._worth(counts))
        return self._weight * np.log1p(more / (1 + self._total))

    def _worth(self, counts: Floats) -> Floats:
        return np.where(counts <= 1, counts, counts / (1 + (counts - 1) * self._alike))


def shown_of(candidates: Candidates) -> Shown:
    """What the candidates show.

    Raises:
        ValueError: they don't say.
    """
    if candidates.shown is None:
        raise ValueError("the candidates bring no shown")
    return candidates.shown
