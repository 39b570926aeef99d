"""Sites count by the weight of the class that they may be."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import SiteAggregation, weighted_mean
from mtal.tasks.posterior import HeadOutput


class ClassWeighted(SiteAggregation):
    """Σ_s ω_s u_s v_s / Σ_s ω_s u_s, u_s = Σ_c p_sc w_c with the head's class weights w, ω_s how much a site counts.

    Rare or badly learnt classes raise the say of every site that may belong to them, whatever the likeliest class is.
    Without class weights all are 1. A frame whose sites have no weight at all gets 0.

    Cost: O(N·S·C).

    >>> import torch
    >>> probs = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> head = HeadOutput("categorical", probs, class_weights=torch.tensor([1.0, 3.0]))
    >>> ClassWeighted()(torch.tensor([[0.0, 1.0]]), head).tolist()
    [0.75]
    """

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Weighted mean over the sites that count, ``[N]``."""
        if head.class_weights is None:
            weights = head.predictive.sum(dim=-1)  # [N, S]
        else:
            weights = head.predictive @ head.class_weights.to(head.predictive)  # [N, S]
        return weighted_mean(values, weights.to(values) * counts)
