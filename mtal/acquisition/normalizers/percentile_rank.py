"""Ranks as fractions."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer
from mtal.acquisition.ranks import average_rank


class PercentileRank(Normalizer):
    """(average rank − 1)/(N − 1), in [0, 1]; ½ everywhere in a constant column, or for the only frame.

    Sees the order of the scores only, so no unit, scale or outlier reaches the fusion. Ties share their average rank.

    >>> PercentileRank()(torch.tensor([[0.1], [99.0], [0.1]])).flatten().tolist()
    [0.25, 1.0, 0.25]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Percentile ranks as fractions, ``[N, T]``."""
        if len(values) == 1:
            return torch.full_like(values, 0.5)
        return (average_rank(values) - 1) / (len(values) - 1)  # [N, T]
