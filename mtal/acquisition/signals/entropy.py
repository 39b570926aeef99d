"""Entropy of the predictive distribution."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from mtal.acquisition.predictive import surprise
from mtal.acquisition.signals.base import SiteSignal


class Entropy(SiteSignal):
    """H(p)/log C at a categorical site, H(p)/log 2 per Bernoulli label; mean over valid sites.

    Shannon 1948; with members it is the entropy of their mean. In [0, 1]: 1 for a uniform posterior whatever C, 0 for
    a certain one (0·log 0 = 0).

    Cost: O(N·S·C).

    >>> import torch
    >>> from mtal.tasks.posterior import HeadOutput
    >>> Entropy()(HeadOutput("bernoulli", torch.tensor([[[0.5, 0.5]], [[0.5, 1.0]], [[0.0, 1.0]]]))).tolist()
    [1.0, 0.5, 0.0]
    """

    name: ClassVar[str] = "entropy"

    def bernoulli(self, probs: Tensor) -> Tensor:
        """H(p)/log 2, ``[N, S, C]`` to ``[N, S, C]``."""
        return bernoulli_entropy(probs)

    def categorical(self, probs: Tensor) -> Tensor:
        """H(p)/log C, ``[N, S, C]`` to ``[N, S]``."""
        return categorical_entropy(probs)


def bernoulli_entropy(probs: Tensor) -> Tensor:
    """H(p)/log 2 of each independent label, ``[…]`` to ``[…]``.

    >>> import torch
    >>> bernoulli_entropy(torch.tensor([0.5, 1.0])).tolist()
    [1.0, 0.0]
    """
    return (surprise(probs) + surprise(1 - probs)) / math.log(2)


def categorical_entropy(probs: Tensor) -> Tensor:
    """H(p)/log C with C ≥ 2, ``[…, C]`` to ``[…]``.

    >>> import torch
    >>> categorical_entropy(torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])).tolist()
    [1.0, 0.5]
    """
    return surprise(probs).sum(dim=-1) / math.log(probs.shape[-1])
