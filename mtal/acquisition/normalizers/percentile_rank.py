"""Ranks as fractions."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.ranks import average_rank, rank_among


class PercentileRank(Normalizer):
    """(average rank − 1)/(N − 1), in [0, 1]; ½ everywhere in a constant column, or for the only frame.

    Sees the order of the scores only, so no unit, scale or outlier reaches the fusion. Ties share their average rank.
    With a reference, the rank is the one that the score takes among the reference's R, and N is R.

    Cost: O(N·T log N).

    >>> PercentileRank()(torch.tensor([[0.1], [99.0], [0.1]])).flatten().tolist()
    [0.25, 1.0, 0.25]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Percentile ranks as fractions, ``[N, T]``."""
        ranks = average_rank(values) if reference is values else rank_among(values, reference)  # [N, T]
        fractions = (ranks - 1) / max(len(reference) - 1, 1)  # [N, T]
        return torch.where(active_columns(reference), fractions, 0.5)
