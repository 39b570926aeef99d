"""The plain mean."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import LabelAggregation, SiteAggregation, weighted_mean
from mtal.tasks.posterior import HeadOutput


class MeanOverSites(SiteAggregation):
    """Σ_s ω_s v_s / Σ_s ω_s, which is the plain mean over the valid sites where each counts in full or not at all.

    Cost: O(N·S).
    """

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the sites that count, ``[N]``."""
        if head.valid is None:
            return values.sum(dim=1) / values.shape[1]
        return weighted_mean(values, counts)


class MeanOverLabels(LabelAggregation):
    """C⁻¹ Σ_c v_c.

    Cost: O(N·S·C).
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Mean over labels, ``[N, S]``."""
        return values.mean(dim=-1)
