"""How far the labels of all heads together would move the shared encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.signals.base import JointSignal
from mtal.acquisition.signals.shared_gradient_norm import shared_gradient
from mtal.refusals import refuse
from mtal.tasks.posterior import HeadOutput


class JointGradientNorm(JointSignal):
    """‖Σ_t w_t g_t/s_t‖ of the shared-representation gradients g_t: heads that pull the same way add up.

    Weights w_t and scales s_t are fixed numbers, never taken from the batch, so any batching gives the same values.
    With the scale 1 it is the gradient of the summed loss itself; a scale of the head's mean ‖g_t‖ over a pool gives
    every head an equal say. A head without a site that is more likely labelled than not adds nothing. In [0, ∞).

    Cost: O(N·T·D) after the heads' shared gradients.

    Args:
        weights: head name to w_t ≥ 0; 1 where not given.
        scales: head name to s_t > 0; 1 where not given.

    Raises:
        ValueError: a weight or scale is out of range or of an unknown head, or the gradients differ in size.

    >>> def head(*gradient):
    ...     return HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([gradient]))
    >>> JointGradientNorm(weights={"bleeding": 0.5})({"tools": head(3.0, 0.0), "bleeding": head(0.0, 8.0)}).tolist()
    [5.0]
    """

    name: ClassVar[str] = "joint_gradient_norm"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"shared_gradient"})

    def __init__(self, weights: Mapping[str, float] | None = None, scales: Mapping[str, float] | None = None) -> None:
        self.weights = {str(task): float(w) for task, w in (weights or {}).items()}
        self.scales = {str(task): float(s) for task, s in (scales or {}).items()}
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for task, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                yield f"weights.{task} must be 0 or more and finite, not {weight}"
        for task, scale in self.scales.items():
            if not 0 < scale < math.inf:
                yield f"scales.{task} must be above 0 and finite, not {scale}"

    def score(self, heads: Mapping[str, HeadOutput]) -> Tensor:
        """Length of the weighted sum, ``[N]``."""
        for option in ("weights", "scales"):
            unknown = [task for task in getattr(self, option) if task not in heads]
            if unknown:
                raise ValueError(f"{option} names {unknown[0]!r}, which is not one of {', '.join(heads)}")
        total = sum(
            gradient * (self.weights.get(task, 1.0) / self.scales.get(task, 1.0))
            for task, gradient in same_size_gradients(heads).items()
        )
        return torch.linalg.vector_norm(torch.as_tensor(total), dim=1)  # [N, D] to [N]


def same_size_gradients(heads: Mapping[str, HeadOutput]) -> dict[str, Tensor]:
    """Head name to g_t ``[N, D]`` float64.

    Raises:
        ValueError: they differ in size, so they do not lie in one space.
    """
    gradients = {task: shared_gradient(head) for task, head in heads.items()}
    if len({g.shape for g in gradients.values()}) > 1:
        sizes = {task: list(g.shape) for task, g in gradients.items()}
        raise ValueError(f"shared gradients of all heads must have one size, not {sizes}")
    return gradients
