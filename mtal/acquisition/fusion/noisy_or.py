"""Noisy-or of the heads' scores."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion, refuse_outside


class NoisyOr(Fusion):
    """1 − Πₜ (1 − sₜ)^vₜ with vₜ = wₜ / mean w: the chance that at least one head learns from the frame.

    Pearl, Probabilistic Reasoning in Intelligent Systems, 1988: sₜ is read as the probability that head t gains, each
    head by itself. The mean is over the heads that have a say, so equal weights give the plain noisy-or, and a head of
    weight 2 beside one of weight 1 counts as 4/3 and 2/3 of a cause. Cost: N T.

    Raises:
        ValueError: at the call, if a score is not in [0, 1].

    >>> NoisyOr()(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [0.75, 1.0]
    """

    keeps_unit: ClassVar[bool] = True

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Probability that some head gains, ``[N]``."""
        heads = weights > 0  # [T]
        scores, causes = scores[:, heads], weights[heads] / weights[heads].mean()
        refuse_outside(scores, 0.0, 1.0, self)
        return -torch.expm1((causes * torch.log1p(-scores)).sum(dim=1))  # [N]
