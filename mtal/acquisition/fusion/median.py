"""Weighted median of the heads' scores."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion

_ROUNDING = 1e-6  # of weights in float32


class Median(Fusion):
    """medianₜ sₜ, weighted by wₜ: half of the weight is with heads that want the frame no more, half no less.

    Where a score splits the weight into exact halves, the mean of it and the next: with equal weights and an even
    number of heads that is the mean of the middle two. No single head with less than half of the weight can lift
    or sink a frame. Cost: N T log T.

    >>> Median()(torch.tensor([[0.25, 0.5, 1.0], [0.0, 0.75, 0.5]]), torch.tensor([1.0, 1.0, 2.0])).tolist()
    [0.75, 0.5]
    """

    keeps_unit: ClassVar[bool] = True

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted median, ``[N]``."""
        ordered, order = scores.sort(dim=1)  # [N, T]
        up_to = (weights / weights.sum())[order].cumsum(dim=1)  # [N, T]: share of the weight so far
        lower = (up_to > 0.5 - _ROUNDING).to(torch.uint8).argmax(dim=1, keepdim=True)  # [N, 1]: the first
        upper = (up_to > 0.5 + _ROUNDING).to(torch.uint8).argmax(dim=1, keepdim=True)  # [N, 1]
        return (ordered.gather(1, lower) / 2 + ordered.gather(1, upper) / 2)[:, 0]  # [N]
