"""The predictive distribution of a head, and averages over the sites that count.

Letters: K members, N frames, S sites per frame, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.tasks.posterior import HeadOutput


def predictive_probs(head: HeadOutput) -> Tensor:
    """Mean over members p = K⁻¹ Σₖ pₖ: ``[N, S, C]``, of probabilities and never of logits.

    Half precision is widened to float32, and rounding outside [0, 1] is cut off.
    """
    probs = head.probs.detach()
    if probs.dtype not in (torch.float32, torch.float64):
        probs = probs.float()
    if probs.ndim == 4:
        probs = probs.mean(dim=0)  # [N, S, C]
    return probs.clamp(0.0, 1.0)


def mean_over_sites(values: Tensor, mask: Tensor) -> Tensor:
    """|V|⁻¹ Σ_{s ∈ V} v_s over the valid sites V: ``[N, S]`` and ``[N, S]`` bool to ``[N]``.

    A frame without a valid site gets 0: nothing of it counts, so for this head it is not worth a label.
    """
    total = torch.where(mask, values, 0.0).sum(dim=1)  # [N]
    return total / mask.sum(dim=1).clamp(min=1)  # [N]
