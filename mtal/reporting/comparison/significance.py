"""Student's intervals and paired tests across repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mtal.reporting.comparison.bootstrap import CONFIDENCE, FEWEST

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""A strategy wins or loses where the Holm-corrected p is below this."""


@dataclass(frozen=True)
class PairedTest:
    """Two-sided tests that a strategy and the baseline score the same on average.

    Args:
        seeds: how many pairs there are.
        t_p: p of the paired t-test; NaN for fewer than two pairs.
        wilcoxon_p: p of the signed-rank test, exact but for ties among more than 16 pairs. It can't go below
            2^(1 − seeds): 0.0625 for five seeds. NaN for fewer than two pairs.
    """

    seeds: int
    t_p: float
    wilcoxon_p: float


def paired_test(strategy: Floats, baseline: Floats) -> PairedTest:
    """Compare ``[S]`` values of a strategy with those of the baseline for the same seeds."""
    difference = strategy - baseline  # [S]
    seeds = len(difference)
    if seeds < 2:
        return PairedTest(seeds, np.nan, np.nan)
    if not difference.any():
        return PairedTest(seeds, 1.0, 1.0)
    spread = difference.std(ddof=1)
    t = difference.mean() / spread * np.sqrt(seeds) if spread > 0 else np.inf
    return PairedTest(
        seeds=seeds,
        t_p=float(2 * stats.t.sf(abs(t), seeds - 1)),
        wilcoxon_p=_wilcoxon(difference),
    )


def _wilcoxon(difference: Floats) -> float:
    """Exact also with zeros and, up to 16 pairs, with ties, which scipy's tables are not.

    Zeros are dropped; among ties all signs are tried, or where they are too many the normal distribution tells.
    """
    kept = difference[difference != 0]
    ranks = stats.rankdata(np.abs(kept))
    if len(kept) == len(np.unique(ranks)):
        return float(stats.wilcoxon(kept, method="exact").pvalue)
    if len(kept) > 16:
        return float(stats.wilcoxon(kept, method="approx").pvalue)
    signs = (np.arange(2 ** len(kept))[:, None] >> np.arange(len(kept))) & 1  # [2^n, n]
    sums = signs @ ranks  # [2^n]
    centre = ranks.sum() / 2
    return float((np.abs(sums - centre) >= abs(ranks[kept > 0].sum() - centre) - 1e-9).mean())


def mean_interval(values: Floats, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Student's interval of the mean over repeats: it excludes 0 where the t-test of the same values has p < 1 − α.

    A bootstrap of five repeats is narrower than that, and covers the mean in fewer than 95 of 100 studies.

    Args:
        values: ``[S, ...]``, one per repeat.
        confidence: 1 − α.

    Returns:
        Lower and upper ends, ``[...]``; NaN for fewer than :data:`~mtal.reporting.comparison.bootstrap.FEWEST` repeats.
    """
    repeats = len(values)
    if repeats < FEWEST:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    mean = values.mean(axis=0)  # [...]
    reach = stats.t.ppf((1 + confidence) / 2, repeats - 1) * values.std(axis=0, ddof=1) / np.sqrt(repeats)
    return mean - reach, mean + reach


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction, Scandinavian Journal of Statistics 6, 1979; NaN stays NaN and counts for nothing.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    tested = sorted((value, at) for at, value in enumerate(p) if not np.isnan(value))
    corrected = [np.nan] * len(p)
    highest = 0.0
    for rank, (value, at) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * value))
        corrected[at] = highest
    return corrected
