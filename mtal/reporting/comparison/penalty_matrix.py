"""The pairwise penalty matrix of Ash et al., ICLR 2020 (BADGE), section 5 and appendix E."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from mtal.reporting.comparison.learning_curve import Curves, common_seeds

Floats = npt.NDArray[np.float64]


def penalty_matrix(settings: Sequence[Mapping[str, Curves]], strategies: Sequence[str], level: float = 0.05) -> Floats:
    """How often one strategy significantly beats another, summed over settings.

    At each of the P points of a setting, strategy i beats j where a two-sided paired t-test across seeds finds it
    better at ``level``; each win adds 1/P to the cell (i, j). So a cell lies between 0 and the number of settings, a
    row says how often a strategy wins, and the mean of a column how often it is beaten: the lower, the better.

    Args:
        settings: per setting (data set, encoder, ...) the curves of the strategies that were run in it.
        strategies: M names, the order of rows and columns.
        level: significance of one test; the paper uses 0.05 and corrects for nothing.

    Returns:
        ``[M, M]``.
    """
    penalties = np.zeros((len(strategies), len(strategies)))
    for setting in settings:
        for i, one in enumerate(strategies):
            for j, other in enumerate(strategies):
                if i != j and one in setting and other in setting:
                    penalties[i, j] += _wins(setting[one], setting[other], level)
    return penalties


def _wins(one: Curves, other: Curves, level: float) -> float:
    """Share of the points at which ``one`` is significantly better than ``other``; 0 for fewer than two seeds."""
    seeds = common_seeds(one, other)
    if len(seeds) < 2:
        return 0.0
    difference = one.at(seeds) - other.at(seeds)  # [S, P]
    standard_error = difference.std(axis=0, ddof=1) / np.sqrt(len(seeds))  # [P]
    beats = difference.mean(axis=0) > stats.t.ppf(1 - level / 2, len(seeds) - 1) * standard_error  # [P]
    return float(beats.mean())
