"""Standardised scores squeezed into (0, 1)."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer
from mtal.acquisition.normalizers.z_score import ZScore


class SigmoidZ(Normalizer):
    """1/(1 + exp(−z)), z the z-score, in (0, 1); ½ everywhere in a constant column.

    Nearly linear within a standard deviation of the mean and flat far away, so an outlier counts as a high score and
    no more. Scores more than 36 standard deviations above the mean all round to 1.

    Cost: O(N·T).

    >>> import torch
    >>> SigmoidZ()(torch.tensor([[1.0], [3.0]])).flatten().round(decimals=3).tolist()
    [0.269, 0.731]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores in (0, 1), ``[N, T]``."""
        return ZScore().normalize(values, reference, ranges).sigmoid()
