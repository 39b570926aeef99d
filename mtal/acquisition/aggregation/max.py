"""The label that is highest."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import LabelAggregation
from mtal.tasks.posterior import HeadOutput


class MaxOverLabels(LabelAggregation):
    """max_c v_c: one label in doubt is enough.

    Cost: O(N·S·C).
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Maximum over labels, ``[N, S]``."""
        return values.amax(dim=-1)
