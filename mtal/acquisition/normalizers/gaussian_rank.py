"""Ranks as quantiles of a standard normal."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.ranks import average_rank, rank_among


class GaussianRank(Normalizer):
    """Φ⁻¹((average rank − ½)/N), the rankit; 0 everywhere in a constant column.

    Bliss, Statistics in Biology, 1967. Sees the order of the scores only, as :class:`PercentileRank` does, but spreads
    the two ends: the step from the best frame to the second best is larger than a step in the middle. With a
    reference, the rank is the one that the score takes among the reference's R, and N is R.

    Cost: O(N·T log N).

    >>> GaussianRank()(torch.tensor([[0.1], [99.0], [0.2]])).flatten().round(decimals=3).tolist()
    [-0.967, 0.967, 0.0]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Standard normal quantiles, ``[N, T]``."""
        ranks = average_rank(values) if reference is values else rank_among(values, reference)  # [N, T]
        quantiles = torch.special.ndtri((ranks - 0.5) / len(reference))  # [N, T]
        return torch.where(active_columns(reference), quantiles, 0.0)
