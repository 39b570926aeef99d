"""What a fusion rule promises: the scores of several heads become one utility per frame."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.embedding import all_finite


class Fusion(ABC):
    """Scores ``[N, T]`` and weights ``[T]`` of T heads to one utility ``[N]`` float64, higher = picked earlier.

    Frames with equal rows get equal utilities, to the bit, so a tie is left to the selector's hash and never goes by
    file order. A head of weight 0 has no say. Only the ratios of the weights matter for the order.

    Attributes:
        keeps_unit: scores of one unit or range give a utility of the same (a mean does, a sum of ranks does not).

    Raises:
        ValueError: the shapes disagree, a score is not finite, a weight is negative, or all weights are 0.
    """

    keeps_unit: ClassVar[bool] = False

    def __call__(self, scores: Tensor, weights: Tensor | None = None, tasks: Sequence[str] | None = None) -> Tensor:
        """Utility of each frame, ``[N]``.

        Args:
            scores: ``[N, T]``, higher = more worth labelling.
            weights: ``[T]``, 0 or more; ``None`` weights all heads the same.
            tasks: names of the T heads; only rules that speak of a head by name need them.
        """
        T = scores.shape[-1]
        weights = torch.ones(T, dtype=torch.float64) if weights is None else weights.double()
        if scores.ndim != 2 or weights.shape != (T,) or (tasks is not None and len(tasks) != T):
            raise ValueError(
                f"fusion needs scores [N, T], weights [T] and T task names, not {list(scores.shape)}, "
                f"{list(weights.shape)} and {tasks}"
            )
        if not all_finite(scores):
            raise ValueError(f"{int((~scores.isfinite()).sum())} scores are not finite")
        given = weights.tolist()
        if not (all(0 <= weight < math.inf for weight in given) and any(given)):
            raise ValueError(f"weights must be 0 or more and not all 0, not {given}")
        scores = scores.detach().cpu().double().contiguous()
        if len(scores) == 0:
            return torch.zeros(0, dtype=torch.float64)
        return self.fuse(scores, weights.cpu(), None if tasks is None else tuple(tasks))

    def heard(self, weights: Tensor, tasks: Sequence[str]) -> Tensor:
        """Whose scores the utility is made of: ``[T]`` bool for ``weights [T]``, the heads of weight above 0.

        Args:
            weights: ``[T]``, 0 or more.
            tasks: names of the T heads.
        """
        return weights > 0

    @abstractmethod
    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Utility from checked float64 scores ``[N, T]`` of N ≥ 1 frames and weights ``[T]``: ``[N]``."""


def refuse_outside(scores: Tensor, low: float, high: float, rule: Fusion) -> None:
    """Refuse scores below ``low`` or above ``high``.

    Raises:
        ValueError: there is one; the message names a normaliser that mends it.
    """
    if ((scores < low) | (scores > high)).any():
        wanted = f"of {low:g} or more" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise ValueError(
            f"{type(rule).__name__} needs scores {wanted}, not from {float(scores.min()):g} to "
            f"{float(scores.max()):g}; use a normaliser onto [0, 1], such as percentile_rank or min_max"
        )
