"""The mean of the highest sites."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mtal.acquisition.aggregation.base import SiteAggregation
from mtal.tasks.posterior import HeadOutput


class TopFraction(SiteAggregation):
    """(f|V|)⁻¹ Σ_{i ≤ f|V|} v₍ᵢ₎: mean of the share f of valid sites with the highest values v₍₁₎ ≥ v₍₂₎ ≥ ….

    Where f|V| is not whole, the next site counts in part, so that no resolution is favoured; where it is below 1, the
    highest site alone counts. A few hard regions are seen however large the easy rest of the picture is.

    Cost: O(N·S log S).

    Args:
        fraction: share f of the valid sites, above 0 and at most 1; 1 is the mean over all.

    Raises:
        ValueError: the fraction is out of range.

    >>> head = HeadOutput("categorical", torch.full((1, 4, 2), 0.5))
    >>> TopFraction(0.5)(torch.tensor([[0.25, 1.0, 0.0, 0.5]]), head).tolist()
    [0.75]
    """

    def __init__(self, fraction: float = 0.1) -> None:
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must lie above 0 and at most at 1, not {fraction}")
        self.fraction = fraction

    def aggregate(self, values: Tensor, mask: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the highest sites, ``[N]``."""
        kept = min(values.shape[1], math.ceil(self.fraction * values.shape[1]))
        highest = values.masked_fill(~mask, -math.inf).topk(kept, dim=1).values  # [N, kept]
        share = mask.sum(dim=1, keepdim=True).double() * self.fraction  # [N, 1]: f|V|
        weights = (share - torch.arange(kept, device=values.device)).clamp(0.0, 1.0).to(values)  # [N, kept]
        return (weights * highest.where(weights > 0, 0.0)).sum(dim=1) / weights.sum(dim=1).where(share[:, 0] > 0, 1.0)
