"""Nearness to what would be ideal for all heads at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.refusals import refuse


class Chebyshev(Fusion):
    """−maxₜ vₜ (z*ₜ − sₜ) − ρ Σₜ vₜ (z*ₜ − sₜ): how far the head farthest from its ideal z*ₜ has to go.

    Augmented weighted Chebyshev scalarisation, Steuer and Choo, Mathematical Programming 1983, with vₜ = wₜ / Σ w, here
    also in the second term, which is unweighted there: a head of little weight is to have little say throughout. It
    looks for frames that no head has much against; unlike a weighted mean it can reach frames in the dents of a Pareto
    front. The sum, weighed lightly, tells apart frames that are alike for the farthest head. Cost: N T.

    Args:
        rho: say of the sum, 0 or more; small in the paper.
        ideal: the ideal score of every head; ``None`` for the highest score of each head in the pool.

    Raises:
        ValueError: rho is negative or not finite, or the ideal is not finite.

    >>> import torch
    >>> Chebyshev(rho=0)(torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])).tolist()
    [-0.5, -0.25, -0.5]
    """

    def __init__(self, rho: float = 0.001, ideal: float | None = None) -> None:
        self.rho = rho
        self.ideal = ideal
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 <= self.rho < math.inf:
            yield f"rho of the augmented Chebyshev rule must be 0 or more and finite, not {self.rho}"
        if self.ideal is not None and not math.isfinite(self.ideal):
            yield f"ideal of the augmented Chebyshev rule must be finite or null, not {self.ideal}"

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Minus the augmented distance to the ideal, ``[N]``."""
        heads = weights > 0  # [T]: beyond a given ideal, a head of weight 0 could still be the farthest
        scores, share = scores[:, heads], weights[heads] / weights.sum()
        ideal = scores.amax(dim=0) if self.ideal is None else self.ideal  # [T]
        lacking = share * (ideal - scores)  # [N, T]
        return -lacking.amax(dim=1) - self.rho * lacking.sum(dim=1)  # [N]
