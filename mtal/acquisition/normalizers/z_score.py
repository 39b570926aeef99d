"""Standardised scores."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, active_columns


class ZScore(Normalizer):
    """(s − mean)/std with the population's std (divided by N); 0 everywhere in a constant column.

    Cost: O(N·T).

    >>> ZScore()(torch.tensor([[1.0], [3.0]])).flatten().tolist()
    [-1.0, 1.0]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores with mean 0 and standard deviation 1, ``[N, T]``."""
        active = active_columns(reference)  # [T]
        std = torch.where(active, reference.std(dim=0, correction=0), 1.0)  # [T]
        return torch.where(active, (values - reference.mean(dim=0)) / std, 0.0)
