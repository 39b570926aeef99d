"""Draws in proportion to weights that keep changing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_WIDTH = 1024  # weights summed in one block


class WeightedDraw:
    """P(i) ∝ wᵢ: a draw looks into one block of 1024 weights, a changed weight sums one block anew.

    Args:
        weight: ``[N]`` ≥ 0.

    Attributes:
        total: Σ wᵢ, exactly 0 where all are 0.

    >>> draw = WeightedDraw(np.array([0.0, 1.0, 3.0]))
    >>> draw.at(np.array([0.0, 0.5, 1.0])).tolist()
    [1, 2, 2]
    """

    def __init__(self, weight: Floats) -> None:
        self._weight = np.zeros((-(-len(weight) // _WIDTH), _WIDTH))
        self._flat = self._weight.reshape(-1)  # a view
        self._flat[: len(weight)] = weight
        self._sums = self._weight.sum(axis=1)  # [blocks]
        self.total = float(self._sums.sum())

    def weight(self, places: Places) -> Floats:
        """wᵢ at ``places``."""
        return self._flat[places]

    def change(self, places: Places, weight: Floats) -> None:
        """Give ``places`` other weights."""
        self._flat[places] = weight
        blocks = np.unique(places // _WIDTH)
        self._sums[blocks] = self._weight[blocks].sum(axis=1)
        self.total = float(self._sums.sum())

    def at(self, quantile: Floats) -> Places:
        """The places where the cumulative weight passes these parts of the total; never one of weight 0."""
        cumulative = self._sums.cumsum()  # [blocks]
        places = [self._place(cumulative, target) for target in (quantile * self.total).tolist()]
        return np.array(places, dtype=np.intp)

    def _place(self, cumulative: Floats, target: float) -> int:
        block = _passes(cumulative, target)
        before = cumulative[block - 1] if block else 0.0
        return block * _WIDTH + _passes(self._weight[block].cumsum(), max(target - before, 0.0))


def _passes(cumulative: Floats, target: float) -> int:
    """The first index at which the cumulative weight is above the target; the last weight where rounding hides it."""
    index = int(cumulative.searchsorted(target, side="right"))
    return index if index < len(cumulative) else int(cumulative.searchsorted(cumulative[-1], side="left"))
