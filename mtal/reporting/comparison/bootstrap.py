"""Bootstrap of what is no mean, over repeats: seeds or, where test patients are exchanged, folds (means over seeds).

Letters: B draws, S seeds, P points of a curve.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

DRAWS = 10_000
CONFIDENCE = 0.95
FEWEST = 5
"""Repeats below which no interval is given: with fewer of them its ends are chance themselves."""


def seed_weights(seeds: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How much each seed counts in each draw of ``seeds`` seeds with replacement.

    Two strategies weighted by the same rows are resampled in pairs. The same arguments give the same draws.

    Args:
        seeds: S, how many seeds there are.
        draws: B.
        seed: of the generator.

    Returns:
        ``[B, S]``, multiples of 1/S; each row sums to 1.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds  # [B, S]


def interval(drawn: Floats, seeds: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Expanded percentile interval of a statistic from its bootstrap draws.

    A plain percentile interval is too narrow for few seeds: it lacks the factor √(S/(S−1)) and takes the normal
    distribution for Student's. The percentiles are moved outwards by both: α'/2 = Φ(−√(S/(S−1))·t(1−α/2; S−1)).
    Hesterberg, The American Statistician 69(4), 2015, section 5.3.

    Args:
        drawn: ``[B]``, may hold ±inf (the statistic lies beyond what was measured).
        seeds: S, how many seeds were drawn from.
        confidence: 1 − α.

    Returns:
        Lower and upper end, NaN for fewer than :data:`FEWEST` seeds.
    """
    if seeds < FEWEST:
        return np.nan, np.nan
    reach = np.sqrt(seeds / (seeds - 1)) * stats.t.ppf((1 + confidence) / 2, seeds - 1)
    tail = stats.norm.sf(reach)
    # inverted_cdf takes drawn values as they are: between inf and a number there is nothing to interpolate.
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
