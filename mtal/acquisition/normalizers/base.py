"""What a normaliser promises: columns of any unit become columns that can be added."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

_ROUNDING = 1e-12


class Normalizer(ABC):
    """``[N, T]`` to ``[N, T]`` float64, each column by itself, order of the frames kept and ties kept.

    A constant column stays constant.

    Raises:
        ValueError: the scores are not ``[N, T]`` or not finite.
    """

    def __call__(self, values: Tensor) -> Tensor:
        """Normalised scores, ``[N, T]``."""
        if values.ndim != 2 or not values.isfinite().all():
            raise ValueError(f"a normaliser needs finite scores [N, T]; these are {list(values.shape)}, not all finite")
        if len(values) == 0:
            return values.double()
        return self.normalize(values.double())

    @abstractmethod
    def normalize(self, values: Tensor) -> Tensor:
        """Normalised scores of N ≥ 1 frames, ``[N, T]``."""


def active_columns(values: Tensor) -> Tensor:
    """Columns that tell frames apart: ``[N, T]`` to ``[T]`` bool.

    A column is constant, hence inactive, when it varies by no more than float64 rounding of its largest magnitude.

    >>> active_columns(torch.tensor([[0.3, 1.0], [0.3, 2.0]])).tolist()
    [False, True]
    """
    if len(values) == 0:
        return torch.zeros(values.shape[1], dtype=torch.bool)
    spread = values.amax(dim=0) - values.amin(dim=0)  # [T]
    return spread > _ROUNDING * values.abs().amax(dim=0)
