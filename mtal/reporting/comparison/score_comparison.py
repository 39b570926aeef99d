"""One score of all strategies of a setting against the baseline."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison.bootstrap import seed_weights
from mtal.reporting.comparison.label_saving import LabelSaving, label_savings
from mtal.reporting.comparison.learning_curve import Curves, area, in_common
from mtal.reporting.comparison.significance import LEVEL, PairedTest, holm, mean_interval, paired_test

Floats = npt.NDArray[np.float64]
Verdict = Literal["baseline", "bound", "wins", "loses", "undecided", "not tested"]

SHARES = (0.90, 0.95)
"""Targets of label saving, as shares of what the full pool gains over chance."""


@dataclass(frozen=True)
class Versus:
    """A strategy against the baseline on one score.

    Args:
        strategy: its name.
        is_baseline: whether it is the baseline itself, which has no difference and no savings.
        is_bound: whether it is a bound, no strategy, and so has no corrected p.
        area: area under its mean curve over the length of the axis: its mean score.
        final: its mean score at the end of the axis.
        difference: area minus the baseline's, over the seeds that both have; NaN where they share none.
        interval: of ``difference``, Student's over the same seeds; NaN for fewer than five.
        test: of the areas per seed.
        corrected_p: the t-test's p after Holm over the strategies compared on this score.
        savings: one per target of :data:`SHARES`.
    """

    strategy: str
    is_baseline: bool
    is_bound: bool
    area: float
    final: float
    difference: float
    interval: tuple[float, float]
    test: PairedTest
    corrected_p: float
    savings: tuple[LabelSaving, ...]

    @property
    def gain(self) -> float:
        """The difference, which is 0 of the baseline itself."""
        return 0.0 if self.is_baseline else self.difference

    @property
    def verdict(self) -> Verdict:
        """What may be said of the strategy."""
        if self.is_baseline:
            return "baseline"
        if self.is_bound:
            return "bound"
        if np.isnan(self.corrected_p):
            return "not tested"
        if self.corrected_p >= LEVEL:
            return "undecided"
        return "wins" if self.difference > 0 else "loses"


@dataclass(frozen=True)
class Target:
    """What all labels of the pool give.

    Args:
        score: mean full-pool score.
        chance: the score of heads that know nothing.
        chances: the same by repeat of a strategy, as the frames tested on have it.
        runs: full-pool scores by repeat, whose noise is that of every saving; ``None`` where there are none, and
            ``score`` is the best that was seen.
        folds: repeat of a strategy → the fold it has its full-pool score from, where ``runs`` are by fold and
            strategies are not.
    """

    score: float
    chance: float = 0.0
    chances: Curves | None = None
    runs: Curves | None = None
    folds: Mapping[int, int] = field(default_factory=dict)

    def draws(self, share: float, seeds: Sequence[int], weights: Floats) -> Floats:
        """What is ``share`` of the way from chance to the score, and what that is in each draw, ``[1 + B]``.

        Of the same repeats as the strategies where the reference has them, else of its own.
        """
        chance, scores = np.full(1 + len(weights), self.chance), np.full(1 + len(weights), self.score)
        if self.runs is not None:
            same = [self.folds.get(seed, seed) for seed in seeds]
            if set(same) <= set(self.runs.seeds):
                scores = _drawn(self.runs.at(same)[:, 0], weights)
                if self.chances is not None:
                    chance = _drawn(self.chances.at(seeds)[:, 0], weights)
            else:
                scores[1:] = seed_weights(len(self.runs.seeds), len(weights), seed=1) @ self.runs.values[:, 0]
        return chance + share * (scores - chance)


@dataclass(frozen=True)
class ScoreComparison:
    """Curves and comparisons of one score.

    Args:
        name: ``"joint"``, a head's name, or ``"rare classes"``.
        metric: what the score is, such as ``"mAP"``.
        unit: of the axis.
        axis: ``[P]``.
        curves: strategy → its curves.
        bands: strategy → ends of the pointwise interval of its mean curve, ``[P]`` each.
        reference: the full-pool score; savings are measured at :data:`SHARES` of what it is above chance.
        full_pool: whether the full pool was run; where not, ``reference`` is the best that was seen.
        chance: the score of heads that know nothing.
        rows: one per strategy, the furthest ahead of the baseline first; last those that share no repeat with it.
    """

    name: str
    metric: str
    unit: str
    axis: Floats
    curves: Mapping[str, Curves]
    bands: Mapping[str, tuple[Floats, Floats]]
    reference: float
    full_pool: bool
    chance: float
    rows: tuple[Versus, ...]

    def row(self, strategy: str) -> Versus | None:
        """The row of a strategy, or None where this score of it could not be measured."""
        return next((row for row in self.rows if row.strategy == strategy), None)


def compare_score(
    name: str,
    metric: str,
    unit: str,
    axis: Floats,
    curves: Mapping[str, Curves],
    baseline: str,
    target: Target,
    bounds: Collection[str] = (),
) -> ScoreComparison:
    """Compare every strategy of ``curves``, and the ``bounds`` among them, with ``baseline``, which must be there."""
    versus = [
        _versus(s, axis, c, curves[baseline], target, is_baseline=s == baseline, is_bound=s in bounds)
        for s, c in curves.items()
    ]
    corrected = holm([np.nan if row.is_bound else row.test.t_p for row in versus])
    rows = [replace(row, corrected_p=p) for row, p in zip(versus, corrected, strict=True)]
    return ScoreComparison(
        name=name,
        metric=metric,
        unit=unit,
        axis=axis,
        curves=curves,
        bands={strategy: mean_interval(c.values) for strategy, c in curves.items()},
        reference=target.score,
        full_pool=target.runs is not None,
        chance=target.chance,
        rows=tuple(sorted(rows, key=lambda row: (math.isnan(row.gain), -row.gain))),
    )


def area_difference(axis: Floats, one: Curves, other: Curves) -> tuple[float, tuple[float, float], PairedTest]:
    """Difference of the areas under two curves over their common seeds, its paired interval and its test."""
    one, other = in_common(one, other)
    if not one.seeds:
        return np.nan, (np.nan, np.nan), PairedTest(0, np.nan, np.nan)
    mine, others = area(axis, one.values), area(axis, other.values)  # [S], [S]
    low, high = mean_interval(mine - others)
    return float((mine - others).mean()), (float(low), float(high)), paired_test(mine, others)


def _drawn(values: Floats, weights: Floats) -> Floats:
    """Mean of ``[S]`` values and what it is in each draw, ``[1 + B]``."""
    return np.concatenate([[values.mean()], weights @ values])


def _versus(
    strategy: str,
    axis: Floats,
    curves: Curves,
    baseline: Curves,
    target: Target,
    *,
    is_baseline: bool,
    is_bound: bool,
) -> Versus:
    difference, ends, test = np.nan, (np.nan, np.nan), PairedTest(len(curves.seeds), np.nan, np.nan)
    savings: list[LabelSaving] = []
    if not is_baseline:
        difference, ends, test = area_difference(axis, curves, baseline)
        mine, others = in_common(curves, baseline)
        if mine.seeds:
            weights = seed_weights(len(mine.seeds))
            targets = [target.draws(share, mine.seeds, weights) for share in SHARES]  # [1 + B] each
            savings = label_savings(axis, mine.values, others.values, targets, weights)
    return Versus(
        strategy=strategy,
        is_baseline=is_baseline,
        is_bound=is_bound,
        area=float(area(axis, curves.mean)),
        final=float(curves.mean[-1]),
        difference=difference,
        interval=ends,
        test=test,
        corrected_p=np.nan,
        savings=tuple(savings),
    )
