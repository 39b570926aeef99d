"""Label saving: how many fewer frames than the baseline a strategy needs for the same score.

Letters: B draws, S seeds, P points of the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison.bootstrap import interval
from mtal.reporting.comparison.learning_curve import monotone

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelSaving:
    """What a strategy saves at one target score.

    Args:
        target: the score to be reached, of the whole reference.
        needed: frames (or minutes) that the strategy's mean curve needs; inf where it never gets there.
        baseline_needed: the same for the baseline.
        end: where the curves end: what "never" means.
        saved: ``baseline_needed − needed``; +inf where only the strategy gets there, −inf where only the baseline does,
            NaN where neither does.
        saved_interval: of ``saved``, paired bootstrap over seeds; NaN for one seed.
        share: ``saved`` as a share of ``baseline_needed``; ±inf and NaN as above.
        share_interval: of ``share``.
    """

    target: float
    needed: float
    baseline_needed: float
    end: float
    saved: float
    saved_interval: tuple[float, float]
    share: float
    share_interval: tuple[float, float]


def frames_needed(axis: Floats, fitted: Floats, target: Floats | float) -> Floats:
    """Where rising curves ``[..., P]`` first reach ``target`` (one, or ``[..., 1]``), linear between points, ``[...]``.

    inf for a curve that never does; ``axis[0]`` for one that starts there or above. Learning curves are made to rise by
    :func:`~mtal.reporting.comparison.learning_curve.monotone`.
    """
    reached = fitted >= target - 1e-12  # a mean of equal scores may fall short of them by rounding
    after = reached.argmax(axis=-1)  # [...]
    before = np.maximum(after - 1, 0)
    low = np.take_along_axis(fitted, before[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(fitted, after[..., None], axis=-1)[..., 0]
    rise = np.where(high > low, high - low, 1.0)
    wanted = np.broadcast_to(target, fitted.shape)[..., 0]
    x = axis[before] + np.where(high > low, (wanted - low) / rise, 0.0) * (axis[after] - axis[before])
    return np.where(reached.any(axis=-1), x, np.inf)


def label_savings(
    axis: Floats, strategy: Floats, baseline: Floats, targets: Sequence[Floats], weights: Floats
) -> list[LabelSaving]:
    """Compare two strategies at each of ``targets``, seeds paired.

    Where in a draw neither curve reaches the target, nothing is known of the saving, so it counts against both ends of
    the interval.

    Args:
        axis: ``[P]``.
        strategy: ``[S, P]``.
        baseline: ``[S, P]``, the same seeds in the same order.
        targets: scores to be reached, ``[1 + B]`` each: first of the whole reference, then of it as each draw has it.
        weights: ``[B, S]`` from :func:`~mtal.reporting.comparison.bootstrap.seed_weights`.
    """
    # the mean curve first, then its draws
    rows = np.concatenate([np.full((1, len(strategy)), 1 / len(strategy)), weights])  # [1 + B, S]
    mine, others = monotone(rows @ strategy), monotone(rows @ baseline)  # [1 + B, P]
    return [_at(axis, mine, others, target, len(strategy)) for target in targets]


def _at(axis: Floats, mine: Floats, others: Floats, target: Floats, seeds: int) -> LabelSaving:
    needed, other = (frames_needed(axis, fitted, target[:, None]) for fitted in (mine, others))  # [1 + B]
    saved, share = _saved(needed, other)  # [1 + B]
    return LabelSaving(
        target=float(target[0]),
        needed=float(needed[0]),
        baseline_needed=float(other[0]),
        end=float(axis[-1]),
        saved=float(saved[0]),
        saved_interval=_interval(saved[1:], seeds),
        share=float(share[0]),
        share_interval=_interval(share[1:], seeds),
    )


def _saved(needed: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Difference and share; NaN where neither got there."""
    finite = np.where(np.isfinite(needed), needed, 0.0), np.where(np.isfinite(other), other, 1.0)
    saved = finite[1] - finite[0]
    # a baseline that needs nothing leaves nothing to save, and what is lost is no share of it
    share = np.where(finite[1] > 0, saved / np.where(finite[1] > 0, finite[1], 1.0), np.where(saved < 0, -np.inf, 0.0))
    both, neither = np.isfinite(needed) & np.isfinite(other), np.isinf(needed) & np.isinf(other)
    beyond = np.where(neither, np.nan, np.where(np.isinf(other), np.inf, -np.inf))
    return np.where(both, saved, beyond), np.where(both, share, beyond)


def _interval(drawn: Floats, seeds: int) -> tuple[float, float]:
    unknown = np.isnan(drawn)
    low, _ = interval(np.where(unknown, -np.inf, drawn), seeds)
    _, high = interval(np.where(unknown, np.inf, drawn), seeds)
    return low, high
