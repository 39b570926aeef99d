"""What a signal promises: one value per frame of one head, higher = more worth labelling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.predictive import mean_over_sites, predictive_probs
from mtal.tasks.posterior import HeadOutput

_ROUNDING = 1e-4  # float32 sums over many pixels stray past the ends of a range by less than this


class Signal(ABC):
    """``HeadOutput`` to ``[N]``, one value per frame, checked to be finite and within ``range``.

    Attributes:
        name: name of the column in the score table.
        range: smallest and largest possible value.
        needs_features: reads ``HeadOutput.features``, so the model has to hand them over.

    Raises:
        ValueError: a value is not finite or lies outside ``range``.
    """

    name: ClassVar[str]
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    needs_features: ClassVar[bool] = False

    def __call__(self, head: HeadOutput) -> Tensor:
        """Value of each frame, ``[N]``."""
        values = self.score(head)  # [N]
        low, high = self.range
        slack = _ROUNDING * (high - low) if high < float("inf") else 0.0
        wrong = ~(values.isfinite() & (values >= low - slack) & (values <= high + slack))  # [N]
        if wrong.any():
            first = int(wrong.nonzero()[0])
            raise ValueError(
                f"signal {self.name}: {int(wrong.sum())} of {len(values)} values are outside [{low:g}, {high:g}] or "
                f"not finite, the first is {float(values[first])} at position {first}; check the head's probabilities "
                f"and features"
            )
        return values.clamp(low, high)

    @abstractmethod
    def score(self, head: HeadOutput) -> Tensor:
        """Unchecked value of each frame, ``[N]``."""


class SiteSignal(Signal):
    """|V|⁻¹ Σ_{s ∈ V} u(p_s): an uncertainty u in [0, 1] at each site, averaged over the valid sites V of the frame.

    Averaging, not summing, keeps a head with 65 536 pixels on the scale of a head with one site. A frame without a
    valid site gets 0.
    """

    def score(self, head: HeadOutput) -> Tensor:
        """Mean uncertainty over the valid sites, ``[N]``."""
        probs = predictive_probs(head)  # [N, S, C]
        if head.family == "bernoulli":
            at_site = self.bernoulli(probs).mean(dim=-1)  # [N, S]
        elif probs.shape[-1] == 1:
            at_site = torch.zeros_like(probs[..., 0])  # [N, S]: with one class there is nothing to be unsure of
        else:
            at_site = self.categorical(probs)  # [N, S]
        return mean_over_sites(at_site, head.mask)  # [N]

    @abstractmethod
    def bernoulli(self, probs: Tensor) -> Tensor:
        """Uncertainty of each independent label, ``[N, S, C]`` to ``[N, S, C]`` in [0, 1]."""

    @abstractmethod
    def categorical(self, probs: Tensor) -> Tensor:
        """Uncertainty of one-of-C sites with C ≥ 2, ``[N, S, C]`` to ``[N, S]`` in [0, 1]."""
