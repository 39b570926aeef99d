"""The mean of the highest sites."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mtal.acquisition.aggregation.base import SiteAggregation, weighted_mean
from mtal.tasks.posterior import HeadOutput


class TopFraction(SiteAggregation):
    """(fΩ)⁻¹ Σᵢ min(ωᵢ, fΩ − Σ_{j<i} ωⱼ)₊ v₍ᵢ₎, Ω = Σ ω: mean of the share f of what counts, from the highest value on.

    The last site counts in part, so that no resolution is favoured; where fΩ is below the weight of the highest site,
    it alone counts. With sites that count in full or not at all it is the mean of the highest f|V| valid ones. A few
    hard regions are seen however large the easy rest of the picture is.

    Cost: O(N·S log S).

    Args:
        fraction: share f of the sites that count, above 0 and at most 1; 1 is the mean over all.

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

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the highest sites, ``[N]``."""
        ranked = values.masked_fill(counts == 0, -math.inf)  # [N, S]
        share = counts.sum(dim=1, keepdim=True).double() * self.fraction  # [N, 1]: fΩ
        if head.valid is None or head.valid.dtype == torch.bool:
            kept = min(values.shape[1], math.ceil(self.fraction * values.shape[1]))
            highest = ranked.topk(kept, dim=1).values  # [N, kept]
            before = torch.arange(kept, device=values.device)  # [kept]
            weights = (share - before).clamp(0.0, 1.0).to(values)  # [N, kept]
        else:  # light sites may have to be taken down to the lowest before the share is full
            highest, order = ranked.sort(dim=1, descending=True)  # [N, S]
            own = counts.double().gather(1, order)  # [N, S]
            before = own.cumsum(dim=1) - own  # [N, S]
            weights = (share - before).clamp(min=0.0).minimum(own).to(values)  # [N, S]
        return weighted_mean(highest.where(weights > 0, 0.0), weights)
