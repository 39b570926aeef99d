"""The pairwise penalty matrix of Ash et al., ICLR 2020 (BADGE), section 5 and appendix E."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from mtal.reporting.comparison.learning_curve import Curves, in_common

Floats = npt.NDArray[np.float64]


def penalty_matrix(settings: Sequence[Mapping[str, Curves]], strategies: Sequence[str], level: float = 0.05) -> Floats:
    """How often one strategy significantly beats another, the mean over the settings in which the two met.

    At each of the P points of a setting, strategy i beats j where a two-sided paired t-test across seeds finds it
    better at ``level``; each win adds 1/P to the cell (i, j). The paper sums over settings, all of which hold all
    strategies; the mean keeps strategies comparable that met in fewer. So a cell lies between 0 and 1, a row says how
    often a strategy wins, and the mean of a column how often it is beaten: the lower, the better.

    Args:
        settings: per setting (data set, encoder, ...) the curves of the strategies that were run in it.
        strategies: M names, the order of rows and columns.
        level: significance of one test; the paper uses 0.05 and corrects for nothing.

    Returns:
        ``[M, M]``, NaN for two that share no two seeds in any setting, and for a strategy and itself.
    """
    shares = np.full((len(settings), len(strategies), len(strategies)), np.nan)
    for at, setting in enumerate(settings):
        for i, one in enumerate(strategies):
            for j, other in enumerate(strategies):
                if i != j and one in setting and other in setting:
                    shares[at, i, j] = _wins(setting[one], setting[other], level)
    return mean_of_known(shares, axis=0)


def mean_of_known(values: Floats, axis: int) -> Floats:
    """Mean over what is not NaN; NaN where nothing is."""
    return np.asarray(np.ma.masked_invalid(values).mean(axis=axis).filled(np.nan))


def _wins(one: Curves, other: Curves, level: float) -> float:
    """Share of the points at which ``one`` is significantly better than ``other``; NaN for fewer than two seeds."""
    one, other = in_common(one, other)
    seeds = len(one.seeds)
    if seeds < 2:
        return np.nan
    difference = one.values - other.values  # [S, P]
    standard_error = difference.std(axis=0, ddof=1) / np.sqrt(seeds)  # [P]
    beats = difference.mean(axis=0) > stats.t.ppf(1 - level / 2, seeds - 1) * standard_error  # [P]
    return float(beats.mean())
