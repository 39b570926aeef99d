"""How far a head's label would move the shared encoder."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.signals.base import Signal
from mtal.tasks.posterior import HeadOutput


class SharedGradientNorm(Signal):
    """‖g_t‖, g_t = ∂L_t/∂z at the output z of the shared encoder, under the head's own answer.

    All heads meet at z, so unlike gradients of their last layers these lengths compare from head to head, and a head
    that has nothing left to learn falls silent by itself. A frame without a site that is more likely labelled than not
    gets 0. In [0, ∞).

    Cost: O(N·D) after one backward pass per head through heads and decoder.

    >>> gradient = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    >>> SharedGradientNorm()(HeadOutput("bernoulli", torch.full((2, 1, 1), 0.5), shared_gradient=gradient)).tolist()
    [5.0, 0.0]
    """

    name: ClassVar[str] = "shared_gradient_norm"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"shared_gradient"})

    def score(self, head: HeadOutput) -> Tensor:
        """Length of the shared-representation gradient, ``[N]``."""
        return torch.linalg.vector_norm(shared_gradient(head), dim=1)


def shared_gradient(head: HeadOutput) -> Tensor:
    """g_t in float64, 0 for a frame without a site that is more likely labelled than not, ``[N, D]``.

    Raises:
        ValueError: the head has none.
    """
    if head.shared_gradient is None:
        raise ValueError("there is no HeadOutput.shared_gradient: run the model's shared-gradient pass")
    return head.shared_gradient.detach().double().where(head.mask.any(dim=1, keepdim=True), 0.0)
