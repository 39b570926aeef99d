"""Mean standard deviation over members."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal
from mtal.acquisition.signals.variance import variance_over_members


class MeanStd(SiteSignal):
    """C/√(C − 1) · C⁻¹ Σ_c σ_c at a categorical site, 2σ per Bernoulli label; σ² = Varₖ[p_kc]; mean over valid sites.

    Kampffmeyer, Salberg and Jenssen, CVPR Workshops 2016; Kendall, Badrinarayanan and Cipolla, BMVC 2017. Varₖ divides
    by K. The mean of σ over classes is largest, √(C − 1)/C, where the members are sure of all C classes equally often,
    and is divided by that; a Bernoulli label's σ is at most ½. In [0, 1].

    Cost: O(K·N·S·C).

    >>> import torch
    >>> from mtal.tasks.posterior import HeadOutput
    >>> members = torch.tensor([[[[0.75]], [[0.5]]], [[[0.25]], [[0.5]]]])  # two members, two frames
    >>> MeanStd()(HeadOutput("bernoulli", members)).tolist()  # 2 · ¼
    [0.5, 0.0]
    """

    name: ClassVar[str] = "mean_std"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """2σ, ``[K, N, S, C]`` to ``[N, S, C]``."""
        return 2 * variance_over_members(probs).sqrt()

    def categorical(self, probs: Tensor) -> Tensor:
        """Σ_c σ_c/√(C − 1), ``[K, N, S, C]`` to ``[N, S]``."""
        return variance_over_members(probs).sqrt().sum(dim=-1) / math.sqrt(probs.shape[-1] - 1)  # [N, S]
