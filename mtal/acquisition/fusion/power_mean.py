"""Weighted power mean of the heads' scores."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion, refuse_outside


class PowerMean(Fusion):
    """(Σₜ vₜ sₜᵖ)^(1/p) with vₜ = wₜ / Σ w: from the least contented head (p = −∞) to the neediest (p = ∞).

    Hölder's mean; Hardy, Littlewood and Pólya, Inequalities, 1934. p = 1 is the weighted mean, 2 the quadratic, 0 the
    geometric, −1 the harmonic. The higher p, the more the highest score decides; the lower, the more all heads have to
    want a frame. Where p ≤ 0 a score of 0 gives 0.

    Weights count less as |p| grows, since vₜ^(1/p) goes to 1, and not at all at ±∞: minimum and maximum are over the
    heads whose weight is not 0. A maximum that weights act on is :class:`~mtal.acquisition.fusion.Max`. Cost: N T.

    Args:
        p: exponent, −∞ to ∞.

    Raises:
        ValueError: p is not a number, or at the call, if a score is negative.

    >>> scores = torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    >>> [round(float(PowerMean(p)(scores)), 6) for p in (-math.inf, -1, 0, 1, math.inf)]
    [1.0, 1.6, 2.0, 2.5, 4.0]
    """

    keeps_unit: ClassVar[bool] = True

    def __init__(self, p: float = 2.0) -> None:
        if math.isnan(p):
            raise ValueError(f"p of the power mean must be a number from -.inf to .inf, not {p}")
        self.p = p

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted power mean, ``[N]``."""
        heads = weights > 0  # [T]
        scores, share = scores[:, heads], weights[heads] / weights.sum()
        refuse_outside(scores, 0.0, math.inf, self)
        low, high = scores.amin(dim=1), scores.amax(dim=1)  # [N]
        if math.isinf(self.p):
            return high if self.p > 0 else low
        if self.p == 0:
            mean = (share * scores.log()).sum(dim=1).exp()  # [N]
        else:
            # in units of the score that decides, no power overflows; expm1 and log1p stay exact where p is near 0
            unit = high if self.p > 0 else low  # [N]
            powers = torch.expm1(self.p * (scores / unit[:, None]).log())  # [N, T], −1 to 0
            mean = unit * torch.exp(torch.log1p((share * powers).sum(dim=1)) / self.p)  # [N]
            mean = torch.where(unit > 0, mean, 0.0)
        return mean.clamp(low, high)  # [N]
