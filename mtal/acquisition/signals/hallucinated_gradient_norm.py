"""Length of the gradient under the label that the model itself would give."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.gradients import hallucinated_residual, mean_gradient, sq_feature_norm
from mtal.acquisition.signals.base import Signal
from mtal.tasks.posterior import HeadOutput


class HallucinatedGradientNorm(Signal):
    """‖Ω⁻¹ Σ_s ω_s (p_s − ŷ_s) ⊗ h_s‖: norm of the last layer's gradient at the model's own answer ŷ.

    Ash et al., ICLR 2020. ŷ = argmax p on categorical heads and [p > ½] on Bernoulli ones; h has a 1 appended for the
    bias; Ω = Σ ω_s is how much the sites count. With one site it is ‖p − ŷ‖·‖h‖, and no other label gives a shorter
    gradient. A frame without a valid site gets 0. In [0, ∞).

    Cost: O(N·S·C·D) for pixels, O(N·(C + D)) for one site.

    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.75]], [[1.0]]]), features=torch.ones(2, 1, 3))
    >>> HallucinatedGradientNorm()(head).tolist()  # ¼·‖(1, 1, 1, 1)‖
    [0.5, 0.0]
    """

    name: ClassVar[str] = "hallucinated_gradient_norm"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def score(self, head: HeadOutput) -> Tensor:
        """Gradient norm, ``[N]``."""
        if head.probs.shape[-2] == 1:
            residual = hallucinated_residual(head)[:, 0]  # [N, C]
            return torch.linalg.vector_norm(residual, dim=-1) * sq_feature_norm(head)[:, 0].sqrt()  # [N]
        return torch.linalg.vector_norm(mean_gradient(head), dim=(1, 2))  # [N]
