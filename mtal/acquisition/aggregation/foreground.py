"""Only what is not background."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.aggregation.base import SiteAggregation, weighted_mean
from mtal.tasks.posterior import HeadOutput


class Foreground(SiteAggregation):
    """Σ_{s ∈ F} ω_s v_s / Σ_{s ∈ F} ω_s over the sites F whose predicted class is not the background.

    On a Bernoulli head F are the sites where any label has p > ½. A frame that is all background gets 0.

    Cost: O(N·S·C).

    Args:
        background: number of the background class of a categorical head.

    Raises:
        ValueError: the number is negative, or a categorical head has no such class.

    >>> import torch
    >>> probs = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.8, 0.2]]])
    >>> Foreground()(torch.tensor([[0.25, 0.75], [0.5, 0.5]]), HeadOutput("categorical", probs)).tolist()
    [0.75, 0.0]
    """

    def __init__(self, background: int = 0) -> None:
        if background < 0:
            raise ValueError(f"background must be the number of a class, 0 or more, not {background}")
        self.background = background

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the foreground, ``[N]``."""
        if head.family == "bernoulli":
            foreground = (head.predictive > 0.5).any(dim=-1)  # [N, S]
        elif self.background < head.probs.shape[-1]:
            foreground = head.likeliest != self.background  # [N, S]
        else:
            raise ValueError(f"background is class {self.background}, but the head has {head.probs.shape[-1]} classes")
        return weighted_mean(values, foreground * counts)
