"""Every predicted class counts alike."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.aggregation.base import SiteAggregation
from mtal.tasks.posterior import HeadOutput


class ClassBalanced(SiteAggregation):
    """|P|⁻¹ Σ_{c ∈ P} Σ_{s ∈ V_c} ω_s v_s / Σ_{s ∈ V_c} ω_s: mean per predicted class, then over the classes P.

    V_c are the sites predicted as c, so a small organ counts as much as a large one; P are the classes with a site more
    likely labelled than not. On a Bernoulli head V_c are
    the sites with p_c > ½, and the sites without any such label are one more group.

    Cost: O(N·S·C).

    >>> probs = torch.tensor([[[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]]])
    >>> ClassBalanced()(torch.tensor([[0.0, 0.0, 0.75, 0.75]]), HeadOutput("categorical", probs)).tolist()  # ¼ and ¾
    [0.5]
    """

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the means of the predicted classes, ``[N]``."""
        groups = _groups(head)  # [N, G, S]
        there = (groups & head.mask.unsqueeze(1)).any(dim=2)  # [N, G]
        shares = groups * counts.unsqueeze(1)  # [N, G, S]
        sizes = shares.sum(dim=2)  # [N, G]
        means = (shares * values.unsqueeze(1)).sum(dim=2) / sizes.where(sizes > 0, 1.0)  # [N, G]
        return means.where(there, 0.0).sum(dim=1) / there.sum(dim=1).clamp(min=1)  # [N]


def _groups(head: HeadOutput) -> Tensor:
    """Which sites are predicted as each class, ``[N, G, S]`` bool."""
    if head.family == "categorical":
        classes = torch.arange(head.probs.shape[-1], device=head.probs.device)
        return head.likeliest.unsqueeze(1) == classes[:, None]  # [N, C, S]
    labels = (head.predictive > 0.5).transpose(1, 2)  # [N, C, S]
    return torch.cat([labels, ~labels.any(dim=1, keepdim=True)], dim=1)  # [N, C + 1, S]
