"""What the label would say about the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from mtal.acquisition.predictive import log_above_zero
from mtal.acquisition.signals.base import SiteSignal


class Bald(SiteSignal):
    """I(y; k) = H(K⁻¹ Σₖ pₖ) − K⁻¹ Σₖ H(pₖ), over log C or log 2 per Bernoulli label; mean over valid sites.

    Houlsby et al., arXiv 2011; Gal, Islam and Ghahramani, ICML 2017. The mutual information of the answer and the
    member that gives it: 0 where all members say the same, however unsure they are; never negative. Each site by
    itself: nothing of the pool is taken off. In [0, 1], and at most log K/log C.

    Cost: O(K·N·S·C).

    >>> import torch
    >>> members = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]], [[[0.0, 1.0], [0.5, 0.5]]]])  # they differ at one site
    >>> from mtal.tasks.posterior import HeadOutput
    >>> Bald()(HeadOutput("categorical", members)).tolist()
    [0.5]
    """

    name: ClassVar[str] = "bald"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """I(y; k)/log 2, ``[K, N, S, C]`` to ``[N, S, C]``."""
        return bernoulli_information(probs)

    def categorical(self, probs: Tensor) -> Tensor:
        """I(y; k)/log C, ``[K, N, S, C]`` to ``[N, S]``."""
        return categorical_information(probs)


def bernoulli_information(probs: Tensor) -> Tensor:
    """(H(K⁻¹ Σₖ pₖ) − K⁻¹ Σₖ H(pₖ))/log 2 ≥ 0 of each independent label, ``[K, …]`` to ``[…]``.

    >>> import torch
    >>> bernoulli_information(torch.tensor([[0.0], [1.0], [0.0], [1.0]])).tolist()
    [1.0]
    """
    gained = _gained(probs, lambda p: p) + _gained(probs, lambda p: 1 - p)  # […]
    return (gained / math.log(2)).clamp(min=0.0)


def categorical_information(probs: Tensor) -> Tensor:
    """(H(K⁻¹ Σₖ pₖ) − K⁻¹ Σₖ H(pₖ))/log C ≥ 0 with C ≥ 2, ``[K, …, C]`` to ``[…]``.

    >>> import torch
    >>> categorical_information(torch.eye(4)).tolist()  # four members, each sure of its own class
    1.0
    """
    return (_gained(probs, lambda p: p).sum(dim=-1) / math.log(probs.shape[-1])).clamp(min=0.0)


def _gained(probs: Tensor, outcome: Callable[[Tensor], Tensor]) -> Tensor:
    """K⁻¹ Σₖ qₖ log qₖ − q̄ log q̄ of an outcome's probability q, ``[K, …]`` to ``[…]``.

    Member by member, so nothing of the size of all members is made; classes are summed up only afterwards.
    """
    mean = outcome(probs[0]).clone()  # […]
    total = log_above_zero(mean).mul_(mean)  # […]
    for p in probs[1:]:
        q = outcome(p)
        mean += q
        total.addcmul_(q, log_above_zero(q))
    mean /= len(probs)
    return total.div_(len(probs)).addcmul_(mean, log_above_zero(mean), value=-1)
