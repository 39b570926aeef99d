"""Scores mapped to [0, 1] between two quantiles."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, exceeds_rounding
from mtal.acquisition.normalizers.min_max import MinMax


class RobustMinMax(Normalizer):
    """(s − q_low)/(q_high − q_low) between two quantiles, clipped to [0, 1]; 0 everywhere in a constant column.

    A few outliers no longer squeeze the other frames together, but frames beyond the same quantile become equal, and
    the selector's tie-break decides between them. Where both quantiles are the same number though the column varies
    (a head that is sure of nearly every frame), the smallest and the largest score take their place, as in
    :class:`MinMax`. Quantiles are interpolated linearly.

    Cost: O(N·T log N).

    Args:
        low: quantile that becomes 0.
        high: quantile that becomes 1.

    Raises:
        ValueError: not 0 ≤ low < high ≤ 1.

    >>> RobustMinMax(0.25, 0.75)(torch.tensor([[0.0], [2.0], [3.0], [4.0], [99.0]])).flatten().tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """

    def __init__(self, low: float = 0.05, high: float = 0.95) -> None:
        if not 0 <= low < high <= 1:
            raise ValueError(f"quantiles must be 0 ≤ low < high ≤ 1, not low = {low} and high = {high}")
        self.low = low
        self.high = high

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores in [0, 1], ``[N, T]``."""
        columns = np.ascontiguousarray(reference.numpy().T)  # [T, R]
        low, high = torch.from_numpy(np.quantile(columns, (self.low, self.high), axis=1))  # [T], [T]
        apart = exceeds_rounding(high - low, low.abs())  # [T]
        scaled = ((values - low) / torch.where(apart, high - low, 1.0)).clamp(0.0, 1.0)  # [N, T]
        if not apart.all():
            whole = MinMax().normalize(values, reference, ranges).clamp(0.0, 1.0)  # [N, T]
            scaled = torch.where(apart, scaled, whole)
        return scaled
