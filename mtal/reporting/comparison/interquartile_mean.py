"""Interquartile mean over runs and heads, Agarwal et al., NeurIPS 2021.

Letters: B draws, S seeds, T heads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from mtal.reporting.comparison.bootstrap import DRAWS, interval

Floats = npt.NDArray[np.float64]


def interquartile_mean(scores: Floats) -> float:
    """Mean of the middle half of all entries of ``scores`` ``[S, T]``: an outlying run or head has no say."""
    return float(stats.trim_mean(scores, 0.25, axis=None))


def interquartile_interval(scores: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of :func:`interquartile_mean`.

    Whole runs are drawn, with the scores of all their heads: heads of one run share their labels and their encoder. The
    paper, whose tasks are separate experiments, draws within each task.
    """
    seeds = len(scores)
    chosen = np.random.default_rng(seed).integers(seeds, size=(draws, seeds))  # [B, S]
    drawn = scores[chosen].reshape(draws, -1)  # [B, S * T]
    return interval(np.asarray(stats.trim_mean(drawn, 0.25, axis=1)), seeds)
