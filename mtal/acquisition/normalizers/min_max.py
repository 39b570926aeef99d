"""Scores mapped to [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, active_columns


class MinMax(Normalizer):
    """(s − min)/(max − min), in [0, 1], beyond the reference 0 or 1; 0 everywhere in a constant column.

    One outlier squeezes all other frames together; :class:`PercentileRank` does not have this weakness.

    Cost: O(N·T).

    >>> MinMax()(torch.tensor([[2.0], [4.0], [3.0]])).flatten().tolist()
    [0.0, 1.0, 0.5]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores in [0, 1], ``[N, T]``."""
        low = reference.amin(dim=0)  # [T]
        spread = reference.amax(dim=0) - low  # [T]
        active = active_columns(reference)  # [T]
        return torch.where(active, (values - low) / torch.where(active, spread, 1.0), 0.0).clamp(0, 1)
