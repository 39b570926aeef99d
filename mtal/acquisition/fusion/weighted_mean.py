"""Weighted mean of the heads' scores."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion


class WeightedMean(Fusion):
    """Σₜ wₜ sₜ / Σₜ wₜ.

    On percentile ranks this is the rank combination of Reichart et al., ACL 2008.

    Cost: O(N·T).

    >>> import torch
    >>> WeightedMean()(torch.tensor([[1.0, 0.0], [0.25, 0.5]]), torch.tensor([3.0, 1.0])).tolist()
    [0.75, 0.3125]
    """

    keeps_unit: ClassVar[bool] = True

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted mean, ``[N]``."""
        return (scores * (weights / weights.sum())).sum(dim=1)  # [N]
