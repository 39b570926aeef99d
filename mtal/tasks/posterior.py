"""What a head believes about a batch of frames: the only thing that acquisition sees of a model.

Letters: K members, N frames, S sites per frame (1 for a frame-level head), C classes, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        valid: ``[N, S]`` bool, the sites that count. ``None`` means all of them.
        features: ``[N, S, D]`` input h of the linear last layer; ``None`` where no gradient signal is wanted.
        bias: the last layer has a bias, so gradients see h with a 1 appended.

    Raises:
        ValueError: shapes disagree, ``valid`` is not bool, or probabilities are outside [0, 1] or not finite.
    """

    family: Family
    probs: Tensor
    valid: Tensor | None = None
    features: Tensor | None = None
    bias: bool = True

    def __post_init__(self) -> None:
        if self.family not in ("bernoulli", "categorical"):
            raise ValueError(f"unknown family {self.family!r}; families are bernoulli and categorical")
        if self.probs.ndim not in (3, 4):
            raise ValueError(f"probs must be [N, S, C] or [K, N, S, C], not {list(self.probs.shape)}")
        n_s = self.probs.shape[-3:-1]
        if self.valid is not None and self.valid.shape != n_s:
            raise ValueError(f"valid is {list(self.valid.shape)} but probs has {list(n_s)} frames and sites")
        if self.valid is not None and self.valid.dtype != torch.bool:  # ~ on an integer mask flips bits, not sites
            raise ValueError(f"valid must be bool, not {self.valid.dtype}; pass valid.bool()")
        if self.features is not None and (self.features.ndim != 3 or self.features.shape[:2] != n_s):
            raise ValueError(f"features are {list(self.features.shape)} but probs has {list(n_s)} frames and sites")
        if self.probs.numel():
            low, high = torch.aminmax(self.probs.detach())
            if not (low >= -1e-6 and high <= 1 + 1e-6):  # also false for NaN
                raise ValueError(f"probabilities must lie in [0, 1]; these span [{low:.3g}, {high:.3g}]")

    @property
    def mask(self) -> Tensor:
        """``[N, S]`` bool: the sites that count."""
        if self.valid is not None:
            return self.valid
        return torch.ones(self.probs.shape[-3:-1], dtype=torch.bool, device=self.probs.device)
