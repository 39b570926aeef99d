"""Entropy of the mean over members."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal
from mtal.acquisition.signals.entropy import bernoulli_entropy, categorical_entropy
from mtal.tasks.posterior import mean_over_members


class PredictiveEntropy(SiteSignal):
    """H(K⁻¹ Σₖ pₖ)/log C at a categorical site, /log 2 per Bernoulli label; mean over valid sites.

    Gal, Islam and Ghahramani, ICML 2017. All that the members leave open together: how unsure each of them is, and how
    far they differ, which is :class:`~mtal.acquisition.signals.Bald`. In [0, 1].

    Cost: O(K·N·S·C).

    >>> import torch
    >>> from mtal.tasks.posterior import HeadOutput
    >>> members = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])  # sure of different answers
    >>> PredictiveEntropy()(HeadOutput("categorical", members)).tolist()
    [1.0]
    """

    name: ClassVar[str] = "predictive_entropy"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """H(p̄)/log 2, ``[K, N, S, C]`` to ``[N, S, C]``."""
        return bernoulli_entropy(mean_over_members(probs))

    def categorical(self, probs: Tensor) -> Tensor:
        """H(p̄)/log C, ``[K, N, S, C]`` to ``[N, S]``."""
        return categorical_entropy(mean_over_members(probs))
