"""What a signal promises: one value per frame, higher = more worth labelling.

Three kinds, by what they look at: :class:`Signal` one head's output, batch by batch; :class:`JointSignal` all heads'
outputs at once, batch by batch; :class:`PoolSignal` what the pass over the pool left behind.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.aggregation import (
    LabelAggregation,
    MeanOverLabels,
    MeanOverSites,
    SiteAggregation,
)
from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput

SHARED = "shared"
"""Stands in place of a task in the columns of signals that belong to no single head."""

_ROUNDING = 1e-4  # float32 sums over many pixels stray past the ends of a range by less than this
_WAYS_OUT = {
    "features": "ask the model for the input of its last layer",
    "members": "give probs a leading K: Monte-Carlo dropout passes or ensemble members, K ≥ 2",
    "shared_gradient": "run the model's shared-gradient pass",
    "predicted_loss": "train a loss-prediction module (model.loss_prediction=true)",
    "grid": "give the head's (rows, columns)",
}


class _Scored(ABC):
    """Values checked to be finite and within ``range``.

    Attributes:
        name: name of the column in the score table.
        range: smallest and largest possible value.
        needs: what the signal reads beyond one posterior per frame.
    """

    name: ClassVar[str]
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = frozenset()

    def _checked(self, values: Tensor) -> Tensor:
        low, high = self.range
        slack = _ROUNDING * (high - low) if high < float("inf") and low > -float("inf") else 0.0
        if not len(values):
            return values
        least, most = map(float, torch.aminmax(values))  # NaN where any value is
        finite = math.isfinite(least) and math.isfinite(most)
        if not (finite and low - slack <= least and most <= high + slack):
            wrong = ~(values.isfinite() & (values >= low - slack) & (values <= high + slack))  # [N]
            first = int(wrong.nonzero()[0])
            raise ValueError(
                f"signal {self.name}: {int(wrong.sum())} of {len(values)} values are outside [{low:g}, {high:g}] or "
                f"not finite, the first is {float(values[first])} at position {first}; check the head's probabilities "
                f"and features"
            )
        return values if low <= least and most <= high else values.clamp(low, high)

    def _check_head(self, head: HeadOutput) -> None:
        for need in sorted(self.needs & _WAYS_OUT.keys()):
            if getattr(head, need) is None:
                raise ValueError(f"signal {self.name} needs HeadOutput.{need}: {_WAYS_OUT[need]}")
        if "members" in self.needs and len(head.probs) < 2:
            raise ValueError(f"signal {self.name} compares members, but there is only one: {_WAYS_OUT['members']}")


class Signal(_Scored):
    """``HeadOutput`` to ``[N]``: reads one head, each frame by itself, so any batching gives the same values.

    Attributes:
        needs: any of ``"features"``, ``"members"``, ``"shared_gradient"``, ``"predicted_loss"``.

    Raises:
        ValueError: the head lacks what the signal needs, or a value is not finite or lies outside ``range``.
    """

    def __call__(self, head: HeadOutput) -> Tensor:
        """Value of each frame, ``[N]``."""
        self._check_head(head)
        return self._checked(self.score(head))

    @abstractmethod
    def score(self, head: HeadOutput) -> Tensor:
        """Unchecked value of each frame, ``[N]``."""


class SiteSignal(Signal):
    """A_s(A_c(u(p_sc))): an uncertainty u in [0, 1] of each label at each site, aggregated to one value per frame.

    The default is |V|⁻¹ Σ_{s ∈ V} C⁻¹ Σ_c u(p_sc) over the valid sites V: averaging, not summing, keeps a head with
    65 536 pixels on the scale of a head with one site. A frame without a valid site gets 0.

    Args:
        sites: how the valid sites of a pixel head become one value; the mean by default.
        labels: how the labels of a Bernoulli site become one value; the mean by default.
    """

    def __init__(self, sites: SiteAggregation | None = None, labels: LabelAggregation | None = None) -> None:
        self.sites = MeanOverSites() if sites is None else sites
        self.labels = MeanOverLabels() if labels is None else labels

    def score(self, head: HeadOutput) -> Tensor:
        """Aggregated uncertainty, ``[N]``."""
        probs = head.members if "members" in self.needs else None  # [K, N, S, C]
        if probs is None:
            probs = predictive_probs(head)  # [N, S, C]
        if head.family == "bernoulli":
            at_site = self.labels(self.bernoulli(probs), head)  # [N, S]
        elif probs.shape[-1] == 1:
            at_site = torch.zeros_like(predictive_probs(head)[..., 0])  # [N, S]: nothing to ask
        else:
            at_site = self.categorical(probs)  # [N, S]
        return self.sites(at_site, head)  # [N]

    @abstractmethod
    def bernoulli(self, probs: Tensor) -> Tensor:
        """Uncertainty of each independent label, ``[N, S, C]`` (or ``[K, N, S, C]``) to ``[N, S, C]`` in [0, 1]."""

    @abstractmethod
    def categorical(self, probs: Tensor) -> Tensor:
        """Uncertainty of one-of-C sites with C ≥ 2, ``[N, S, C]`` (or ``[K, N, S, C]``) to ``[N, S]`` in [0, 1]."""


class JointSignal(_Scored):
    """All heads' outputs to ``[N]``: reads the heads of a frame together; its column is ``("shared", name)``.

    Attributes:
        needs: as for :class:`Signal`.

    Raises:
        ValueError: a head lacks what the signal needs, or a value is not finite or lies outside ``range``.
    """

    def __call__(self, heads: Mapping[str, HeadOutput]) -> Tensor:
        """Value of each frame, ``[N]``."""
        if not heads:
            raise ValueError(f"signal {self.name} needs one head or more")
        for head in heads.values():
            self._check_head(head)
        return self._checked(self.score(heads))

    @abstractmethod
    def score(self, heads: Mapping[str, HeadOutput]) -> Tensor:
        """Unchecked value of each frame, ``[N]``."""


class PoolSignal(_Scored):
    """``PoolView`` to ``[N]``: compares frames with each other, with the labelled ones or with earlier rounds.

    Attributes:
        per_head: one column per head, else a single column ``("shared", name)`` from a view without posteriors.
        needs: any of ``"features"``, ``"labelled_features"``, ``"posterior"``, ``"labelled_posterior"``, ``"members"``,
            ``"previous"``, ``"moments"``, ``"others"``.

    Raises:
        ValueError: the view lacks what the signal needs, or a value is not finite or lies outside ``range``.
    """

    per_head: ClassVar[bool] = True

    def __call__(self, view: PoolView) -> Tensor:
        """Value of each frame, ``[N]``."""
        for need in sorted(self.needs):
            if getattr(view, need) is None:
                raise ValueError(f"signal {self.name} needs PoolView.{need}")
        return self._checked(self.score(view))

    @abstractmethod
    def score(self, view: PoolView) -> Tensor:
        """Unchecked value of each frame, ``[N]``."""
