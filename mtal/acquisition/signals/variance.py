"""Variance over members."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal
from mtal.tasks.posterior import mean_over_members


class Variance(SiteSignal):
    """C²/(C − 1) · C⁻¹ Σ_c Varₖ[p_kc] at a categorical site, 4·Varₖ[pₖ] per Bernoulli label; mean over valid sites.

    Varₖ divides by K. The mean over classes is largest, (C − 1)/C², where the members are sure of all C classes
    equally often, and is divided by that; a Bernoulli label's is at most ¼. The scale does not depend on K. In [0, 1]:
    0 where the members agree, 1 where they are sure of different answers. Gal, Islam and Ghahramani, ICML 2017, use it
    beside BALD; it is BALD with 1 − ‖p‖² in place of the entropy.

    Cost: O(K·N·S·C).

    >>> from mtal.tasks.posterior import HeadOutput
    >>> members = torch.tensor([[[[0.75]], [[0.5]]], [[[0.25]], [[0.5]]]])  # two members, two frames
    >>> Variance()(HeadOutput("bernoulli", members)).tolist()  # 4 · ¼²
    [0.25, 0.0]
    """

    name: ClassVar[str] = "variance"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """4·Varₖ[pₖ], ``[K, N, S, C]`` to ``[N, S, C]``."""
        return 4 * variance_over_members(probs)

    def categorical(self, probs: Tensor) -> Tensor:
        """C/(C − 1) · Σ_c Varₖ[p_kc], ``[K, N, S, C]`` to ``[N, S]``."""
        C = probs.shape[-1]
        return variance_over_members(probs).sum(dim=-1) * (C / (C - 1))  # [N, S]


def variance_over_members(probs: Tensor) -> Tensor:
    """K⁻¹ Σₖ (pₖ − p̄)², ``[K, …]`` to ``[…]``, member by member, so nothing of the size of all members is made.

    >>> variance_over_members(torch.tensor([[0.0], [1.0]])).tolist()
    [0.25]
    """
    mean = mean_over_members(probs)
    total = torch.zeros_like(mean)
    for p in probs:
        difference = p - mean
        total.addcmul_(difference, difference)
    return total / len(probs)
