"""CombMNZ: the sum, times the number of heads that want the frame."""

from __future__ import annotations

import math

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion, refuse_outside


class CombMnz(Fusion):
    """(Σₜ vₜ sₜ) · Σₜ vₜ [sₜ > threshold] with vₜ = wₜ / mean w: the sum, times how many heads want the frame.

    Fox and Shaw, TREC-2 1994, where a system that did not retrieve a document gives it 0. Here every head scores every
    frame, so the threshold says what wanting is. The mean of the weights is over the heads that have a say: equal
    weights give the paper's rule, and a heavier head counts for more in the sum and in the count. A frame that no head
    wants gets 0. Cost: N T.

    Args:
        threshold: a head wants a frame that it scores above this; 0 in the paper, 0.5 is the upper half of percentile
            ranks.

    Raises:
        ValueError: the threshold is negative or not finite, or at the call, if a score is negative.

    >>> import torch
    >>> CombMnz()(torch.tensor([[0.75, 0.75], [1.0, 0.5], [0.5, 0.25]])).tolist()
    [3.0, 1.5, 0.0]
    """

    def __init__(self, threshold: float = 0.5) -> None:
        if not 0 <= threshold < math.inf:
            raise ValueError(f"threshold of CombMNZ must be 0 or more and finite, not {threshold}")
        self.threshold = threshold

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted sum times weighted count, ``[N]``."""
        heads = weights > 0  # [T]
        scores, share = scores[:, heads], weights[heads] / weights[heads].mean()
        refuse_outside(scores, 0.0, math.inf, self)
        return (share * scores).sum(dim=1) * (share * (scores > self.threshold)).sum(dim=1)  # [N]
