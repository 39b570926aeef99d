"""The neediest head decides."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion


class Max(Fusion):
    """maxₜ vₜ sₜ with vₜ = wₜ / max w: a frame is worth what it is worth to the head that wants it most.

    A negative score, as a z-score may be, is divided by vₜ instead of multiplied: a smaller weight then lowers the
    head's say on either side of 0. With equal weights this is the plain maximum.

    Cost: O(N·T).

    >>> Max()(torch.tensor([[0.75, 0.0], [0.5, 1.0]]), torch.tensor([1.0, 0.25])).tolist()
    [0.75, 0.5]
    """

    keeps_unit: ClassVar[bool] = True

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Largest weighted score, ``[N]``."""
        heads = weights > 0  # [T]: a head of weight 0 could still win with 0 where all others are negative
        scores, share = scores[:, heads], weights[heads] / weights.max()
        return torch.where(scores >= 0, scores * share, scores / share).amax(dim=1)  # [N]
