"""What a head believes about a batch of frames: the only thing that acquisition sees of a model.

Letters: K members, N frames, S sites per frame (1 for a frame-level head), C classes, D features.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

Family = Literal["bernoulli", "categorical"]


@dataclass(frozen=True)
class HeadOutput:
    """Posterior and last-layer features of one head.

    Args:
        family: ``"bernoulli"`` (C independent labels per site) or ``"categorical"`` (one of C).
        probs: ``[N, S, C]`` probabilities; Monte-Carlo or ensemble members add a leading K.
        valid: ``[N, S]``, how much each site counts: bool, or how likely an annotator would label it, in [0, 1].
            ``None`` counts all of them in full.
        features: ``[N, S, D]`` input h of the linear last layer; ``None`` where no gradient signal is wanted.
        bias: the last layer has a bias, so gradients see h with a 1 appended.
        grid: (rows, columns) of the sites of a pixel head, row by row, rows · columns = S; ``None`` where the sites
            have no places.
        shared_gradient: ``[N, D']`` ∂L/∂z under the head's own answer, z the output of the shared encoder.
        predicted_loss: ``[N]`` loss that a loss-prediction module expects of the frame.
        class_weights: ``[C]`` ≥ 0, how much each class counts where an aggregation asks; ``None`` weights all the same.

    Raises:
        ValueError: shapes disagree, ``valid`` holds integers, or it or the probabilities are outside [0, 1] or not
            finite.
    """

    family: Family
    probs: Tensor
    valid: Tensor | None = None
    features: Tensor | None = None
    bias: bool = True
    grid: tuple[int, int] | None = None
    shared_gradient: Tensor | None = None
    predicted_loss: Tensor | None = None
    class_weights: Tensor | None = None
    _strays: bool = field(init=False, repr=False, compare=False, default=False)  # rounding left [0, 1]

    def __post_init__(self) -> None:
        if self.family not in ("bernoulli", "categorical"):
            raise ValueError(f"unknown family {self.family!r}; families are bernoulli and categorical")
        if self.probs.ndim not in (3, 4):
            raise ValueError(f"probs must be [N, S, C] or [K, N, S, C], not {list(self.probs.shape)}")
        n_s = self.probs.shape[-3:-1]
        if self.valid is not None and self.valid.shape != n_s:
            raise ValueError(f"valid is {list(self.valid.shape)} but probs has {list(n_s)} frames and sites")
        if self.valid is not None:
            _check_valid(self.valid)
        if self.features is not None and (self.features.ndim != 3 or self.features.shape[:2] != n_s):
            raise ValueError(f"features are {list(self.features.shape)} but probs has {list(n_s)} frames and sites")
        self._check_extras()
        if self.probs.numel():
            low, high = map(float, torch.aminmax(self.probs.detach()))
            if not (low >= -1e-6 and high <= 1 + 1e-6):  # also false for NaN
                raise ValueError(f"probabilities must lie in [0, 1]; these span [{low:.3g}, {high:.3g}]")
            object.__setattr__(self, "_strays", low < 0 or high > 1)

    @property
    def mask(self) -> Tensor:
        """``[N, S]`` bool: the sites that count, where a yes or no is needed: those more likely labelled than not."""
        if self.valid is not None:
            return self.valid if self.valid.dtype == torch.bool else self.valid >= 0.5
        return torch.ones(self.probs.shape[-3:-1], dtype=torch.bool, device=self.probs.device)

    @cached_property
    def site_weights(self) -> Tensor:
        """``[N, S]`` ω in [0, 1], float32 or float64 as the probabilities: how much each site counts in a mean."""
        if self.valid is None:
            return torch.ones(self.probs.shape[-3:-1], dtype=self._wide, device=self.probs.device)
        return self.valid.to(self._wide)

    @cached_property
    def total_weight(self) -> Tensor:
        """``[N]`` Σ_s ω_s, and 1 for a frame without a site that counts, so that it may be divided by."""
        total = self.site_weights.sum(dim=1)
        return total.where(total > 0, 1.0)

    @property
    def _wide(self) -> torch.dtype:
        return self.probs.dtype if self.probs.dtype in (torch.float32, torch.float64) else torch.float32

    @property
    def members(self) -> Tensor | None:
        """``[K, N, S, C]`` probabilities of each member, ``None`` where there is only one posterior.

        Half precision is widened to float32, and rounding outside [0, 1] is cut off.
        """
        return self._within_bounds if self.probs.ndim == 4 else None

    @cached_property
    def predictive(self) -> Tensor:
        """Mean over members p = K⁻¹ Σₖ pₖ, ``[N, S, C]``: of probabilities and never of logits; widened as they are."""
        return mean_over_members(self._within_bounds) if self.probs.ndim == 4 else self._within_bounds

    @cached_property
    def likeliest(self) -> Tensor:
        """argmax_c of the predictive distribution, ``[N, S]`` int64; the lowest number among equals."""
        return likeliest_class(self.predictive)

    @cached_property
    def _within_bounds(self) -> Tensor:
        probs = self.probs.detach().to(self._wide)
        return probs.clamp(0.0, 1.0) if self._strays else probs  # most do not, and a copy of a map is large

    def take(self, index: Tensor | slice) -> HeadOutput:
        """What it says of the frames at ``index``."""
        return replace(
            self,
            probs=self.probs[..., index, :, :],
            valid=_rows(self.valid, index),
            features=_rows(self.features, index),
            shared_gradient=_rows(self.shared_gradient, index),
            predicted_loss=_rows(self.predicted_loss, index),
        )

    def _check_extras(self) -> None:
        N, S, C = self.probs.shape[-3:]
        if self.grid is not None and self.grid[0] * self.grid[1] != S:
            raise ValueError(f"grid is {self.grid[0]} x {self.grid[1]} but probs has {S} sites")
        if self.shared_gradient is not None and (self.shared_gradient.ndim != 2 or len(self.shared_gradient) != N):
            raise ValueError(f"shared_gradient must be [{N}, D], not {list(self.shared_gradient.shape)}")
        if self.predicted_loss is not None and self.predicted_loss.shape != (N,):
            raise ValueError(f"predicted_loss must be [{N}], not {list(self.predicted_loss.shape)}")
        if self.class_weights is not None:
            if self.class_weights.shape != (C,):
                raise ValueError(f"class_weights must be [{C}], not {list(self.class_weights.shape)}")
            if not (self.class_weights.isfinite().all() and (self.class_weights >= 0).all()):
                raise ValueError(f"class_weights must be finite and 0 or more, not {self.class_weights.tolist()}")


def _rows(values: Tensor | None, index: Tensor | slice) -> Tensor | None:
    return None if values is None else values[index]


def _check_valid(valid: Tensor) -> None:
    if valid.dtype == torch.bool:
        return
    if not valid.is_floating_point():  # ~ on an integer mask flips bits, not sites
        raise ValueError(f"valid must be bool or weights in [0, 1], not {valid.dtype}; pass valid.bool()")
    if valid.numel():
        low, high = torch.stack(torch.aminmax(valid.detach())).tolist()
        if not (low >= 0 and high <= 1):  # also false for NaN
            raise ValueError(f"valid must lie in [0, 1]; these weights span [{low:.3g}, {high:.3g}]")


def mean_over_members(values: Tensor) -> Tensor:
    """K⁻¹ Σₖ vₖ, ``[K, …]`` to ``[…]``; ``mean`` takes ten times as long where sites lie closer than classes."""
    total = values[0].clone()
    for v in values[1:]:
        total += v
    return total / len(values)


def likeliest_class(probs: Tensor) -> Tensor:
    """argmax_c p_c with the lowest number among equals on every device, ``[…, C]`` to ``[…]`` int64.

    A pixel head leaves the classes of a site far apart in memory, where ``argmax`` takes thirty times as long.

    >>> likeliest_class(torch.tensor([[0.2, 0.4, 0.4], [0.9, 0.1, 0.0]])).tolist()
    [1, 0]
    """
    C = probs.shape[-1]
    places = torch.arange(C, 0, -1, dtype=torch.int16, device=probs.device)  # [C]: the first class has the largest
    largest = probs == probs.amax(dim=-1, keepdim=True)  # […, C]
    return C - (largest * places).amax(dim=-1).long()  # […]
