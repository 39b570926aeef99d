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

    >>> draw = WeightedDraw(np.array([0.0, 1.0, 3.0]))
    >>> draw.at(np.array([0.0, 0.5, 1.0])).tolist()
    [1, 2, 2]
    """

    def __init__(self, weight: Floats) -> None:
        self._weight = np.zeros((-(-len(weight) // _WIDTH), _WIDTH))
        self._flat = self._weight.reshape(-1)  # a view
        self._flat[: len(weight)] = weight
        self._sums = self._weight.sum(axis=1)  # [blocks]

    @property
    def total(self) -> float:
        """Σ wᵢ, exactly 0 where all are 0."""
        return float(self._sums.sum())

    def weight(self, places: Places) -> Floats:
        """wᵢ at ``places``."""
        return self._flat[places]

    def change(self, places: Places, weight: Floats) -> None:
        """Give ``places`` other weights."""
        self._flat[places] = weight
        blocks = np.unique(places // _WIDTH)
        self._sums[blocks] = self._weight[blocks].sum(axis=1)

    def at(self, quantile: Floats) -> Places:
        """The places where the cumulative weight passes these parts of the total; never one of weight 0."""
        block, rest = _invert(np.cumsum(self._sums), quantile * self.total)
        return np.array(
            [
                b * _WIDTH + int(_invert(np.cumsum(self._weight[b]), np.array([r]))[0][0])
                for b, r in zip(block, rest, strict=True)
            ],
            dtype=np.intp,
        )


def _invert(cumulative: Floats, targets: Floats) -> tuple[Places, Floats]:
    """Where the cumulative weights pass the targets, and how far each target reaches into that weight."""
    last = np.searchsorted(cumulative, cumulative[-1], side="left")  # rounding must not step past the last weight
    index = np.minimum(np.searchsorted(cumulative, targets, side="right"), last)
    before = np.where(index > 0, cumulative[index - 1], 0.0)
    return index, np.maximum(targets - before, 0.0)
