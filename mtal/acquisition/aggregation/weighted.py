"""Labels count by the weight of their class."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import LabelAggregation
from mtal.tasks.posterior import HeadOutput


class WeightedLabels(LabelAggregation):
    """Σ_c w_c v_c / Σ_c w_c with the head's class weights w: by rarity, or by how much is left to learn.

    Without class weights it is the mean; where all weights are 0, it is 0.

    Cost: O(N·S·C).

    >>> import torch
    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.5, 0.9]]]), class_weights=torch.tensor([1.0, 3.0]))
    >>> WeightedLabels()(torch.tensor([[[1.0, 0.5]]]), head).tolist()
    [[0.625]]
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Weighted mean over labels, ``[N, S]``."""
        if head.class_weights is None:
            return values.mean(dim=-1)
        weights = head.class_weights.double()  # [C]
        return values @ (weights / weights.sum().where(weights.any(), 1.0)).to(values)
