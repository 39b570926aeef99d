"""Scores as shares of the pool."""

from __future__ import annotations

import math

from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer
from mtal.acquisition.normalizers.z_score import ZScore

_LARGEST_EXPONENT = 700.0  # exp of it is finite in float64


class Softmax(Normalizer):
    """N·exp(zᵢ/τ)/Σⱼ exp(zⱼ/τ), z the z-score: a frame's share of the pool over a fair share; 1 in a constant column.

    The z-score gives τ one meaning in any unit, the factor N makes the mean 1 for any size of pool. A small τ lets the
    few highest scores speak alone (frames more than about 745 τ below all become 0), a large one levels all frames.
    With a reference, z is standardised by it and the sum is N/R times the one over it.

    Cost: O(N·T).

    Args:
        temperature: τ > 0, in standard deviations.

    Raises:
        ValueError: the temperature is not above 0 or not finite.

    >>> import torch
    >>> Softmax()(torch.tensor([[1.0], [3.0]])).flatten().round(decimals=3).tolist()
    [0.238, 1.762]
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
        self.temperature = temperature

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Shares ≥ 0, of mean 1 over the reference, ``[N, T]``."""
        exponents = ZScore().normalize(values, reference, ranges) / self.temperature  # [N, T]
        known = (
            exponents if reference is values else ZScore().normalize(reference, reference, ranges) / self.temperature
        )
        log_mean = known.logsumexp(dim=0) - math.log(len(reference))  # [T]
        return (exponents - log_mean).clamp(max=_LARGEST_EXPONENT).exp()
