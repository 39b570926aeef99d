"""What an aggregation promises: values in a range stay in it, and sites have the say that they count for.

Letters: N frames, S sites per frame, C classes, G groups of sites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mtal.tasks.posterior import HeadOutput


class SiteAggregation(ABC):
    """``[N, S]`` to ``[N]`` over the sites by their weights ω; a frame without a site that counts gets 0.

    With one site per frame every aggregation gives that site's value (0 where it is not valid). The number of sites
    does not matter: a map and the same map at twice the resolution get the same value.
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Value of each frame, ``[N]``, of the same dtype as ``values``.

        Args:
            values: ``[N, S]``, one per site; what stands at invalid sites is not looked at.
            head: where the values come from.
        """
        if head.valid is not None:
            values = values.where(head.site_weights > 0, 0.0)
        if values.shape[1] == 1:
            return values[:, 0]
        counts = head.site_weights  # [N, S]
        wide = values if values.dtype in (torch.float32, torch.float64) else values.float()  # sums in half overflow
        return self.aggregate(wide, counts.to(wide), head).to(values.dtype)

    @abstractmethod
    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Value of each frame from S ≥ 2 sites, ``[N, S]`` (0 where ω = 0) and ω ``[N, S]`` in [0, 1] to ``[N]``."""


class LabelAggregation(ABC):
    """``[N, S, C]`` to ``[N, S]`` over the C independent labels of each site."""

    @abstractmethod
    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Value of each site, ``[N, S]``."""


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Σ_s v_s ω_s / Σ_s ω_s, 0 where no weight is above 0: ``[N, S]`` and ``[N, S]`` ≥ 0 to ``[N]``."""
    total = weights.sum(dim=1)  # [N]
    return (values * weights).sum(dim=1) / total.where(total > 0, 1.0)  # [N]
