"""The plain mean."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import LabelAggregation, SiteAggregation
from mtal.tasks.posterior import HeadOutput


class MeanOverSites(SiteAggregation):
    """|V|⁻¹ Σ_{s ∈ V} v_s over the valid sites V.

    Cost: O(N·S).
    """

    def aggregate(self, values: Tensor, mask: Tensor, head: HeadOutput) -> Tensor:
        """Mean over valid sites, ``[N]``."""
        return values.sum(dim=1) / mask.sum(dim=1).clamp(min=1)  # [N]


class MeanOverLabels(LabelAggregation):
    """C⁻¹ Σ_c v_c.

    Cost: O(N·S·C).
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Mean over labels, ``[N, S]``."""
        return values.mean(dim=-1)
