"""Learning curves of several seeds brought onto one axis.

Letters: S seeds, P points of the common axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_POINTS = 60
"""Points of a common axis when the runs were measured at different numbers of frames."""


@dataclass(frozen=True)
class Curves:
    """One score of one strategy.

    Args:
        seeds: S seeds, or folds, in rising order.
        values: ``[S, P]``, one curve per seed; of a fold the mean over its runs.
        runs: fold → seed → curve ``[P]``; empty where each curve is of one run.
    """

    seeds: tuple[int, ...]
    values: Floats
    runs: Mapping[int, Mapping[int, Floats]] = field(default_factory=dict)

    @classmethod
    def of_folds(cls, runs: Mapping[int, Mapping[int, Floats]], points: int) -> Curves:
        """One curve per fold, the mean over its runs."""
        folds = tuple(sorted(runs))
        means = [np.mean(list(runs[fold].values()), axis=0) for fold in folds]
        return cls(folds, np.reshape(means, (len(folds), points)), runs)

    def at(self, seeds: Sequence[int]) -> Floats:
        """The curves of ``seeds`` in that order, ``[len(seeds), P]``."""
        return self.values[[self.seeds.index(seed) for seed in seeds]]

    @property
    def mean(self) -> Floats:
        """Mean over the seeds, ``[P]``."""
        return np.asarray(self.values.mean(axis=0))


def in_common(one: Curves, other: Curves) -> tuple[Curves, Curves]:
    """Both strategies over the seeds that both were run with; of folds, each over the seeds that both have of it."""
    points = one.values.shape[1]
    if one.runs and other.runs:
        seeds = {f: [s for s in one.runs[f] if s in other.runs[f]] for f in one.runs if f in other.runs}
        mine, others = (
            Curves.of_folds({f: {s: of.runs[f][s] for s in both} for f, both in seeds.items() if both}, points)
            for of in (one, other)
        )
        return mine, others
    common = tuple(seed for seed in one.seeds if seed in other.seeds)
    return Curves(common, one.at(common)), Curves(common, other.at(common))


def common_axis(measured: Mapping[str, Floats]) -> Floats:
    """The numbers of frames, or minutes, at which runs can be compared.

    All runs measured at the same places keep them; otherwise the places of all runs within the stretch that every run
    covers, or :data:`MOST_POINTS` evenly spaced ones where those would be more.

    Args:
        measured: name of a run to where it was measured, rising.

    Returns:
        ``[P]``, rising.

    Raises:
        ValueError: the runs have no stretch in common.
    """
    places = list(measured.values())
    if all(len(x) == len(places[0]) and np.array_equal(x, places[0]) for x in places):
        return places[0]
    late = max(measured, key=lambda name: measured[name][0])
    short = min(measured, key=lambda name: measured[name][-1])
    first, last = measured[late][0], measured[short][-1]
    if first >= last:
        raise ValueError(
            f"{late} starts at {first:g} labelled frames and {short} ends at {last:g}, so there is no stretch in which "
            "all runs can be compared; compare runs of similar loop.initial, loop.batch and loop.rounds"
        )
    union = np.unique(np.concatenate([x[(x >= first) & (x <= last)] for x in places]))
    return union if len(union) <= MOST_POINTS else np.linspace(first, last, MOST_POINTS)


def on_axis(x: Floats, y: Floats, axis: Floats) -> Floats | None:
    """A curve at the places ``axis``, linear between measurements; ``None`` where it does not reach all of them.

    Args:
        x: ``[n]`` where it was measured, rising.
        y: ``[n]``, NaN where the score could not be computed.
        axis: ``[P]``.
    """
    known = np.isfinite(y)
    if not known.any() or x[known][0] > axis[0] or x[known][-1] < axis[-1]:
        return None
    return np.interp(axis, x[known], y[known])  # [P]


def area(axis: Floats, values: Floats) -> Floats:
    """Area under curves ``[..., P]`` by the trapezoid rule over the length of the axis: a mean score, ``[...]``.

    Of the unit of the score and between its lowest and highest value. One single point is its own mean.
    """
    if len(axis) == 1:
        return values[..., 0]
    return np.asarray(np.trapezoid(values, axis, axis=-1) / (axis[-1] - axis[0]))


def monotone(values: Floats) -> Floats:
    """Isotonic regression: the rising curves nearest in least squares to the curves ``[..., P]``.

    More labels can't teach less except by the chance of training, and a target is met where a curve stays above it. The
    running maximum would take each lucky round for progress and so find targets too early; a least-squares fit
    averages luck and mishap. ŷᵢ = max_{j≤i} min_{k≥i} mean(yⱼ..yₖ), the min-max formula of
    Robertson, Wright and Dykstra, Order Restricted Statistical Inference, 1988.
    """
    points = values.shape[-1]
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(axis=-1)], axis=-1)  # [..., P + 1]
    fitted = np.full(values.shape, -np.inf)
    for j in range(points):
        means = (total[..., j + 1 :] - total[..., j, None]) / np.arange(1, points - j + 1)  # [..., P - j], over k
        least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]  # [..., P - j], over i
        fitted[..., j:] = np.maximum(fitted[..., j:], least)
    return fitted
