"""Frames that resemble the rest of the pool."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView

_ROWS = 4096  # frames compared at once, which bounds the memory


class Density(PoolSignal):
    """½(1 + N⁻¹ Σ_j cos(xᵢ, xⱼ)): mean cosine similarity of the shared features to all N frames of the pool.

    The density of Settles and Craven, EMNLP 2008; fused with an uncertainty by a product it is their information
    density. As there, the frame itself is one of the N. Since cosines of unit vectors are linear, the sum is ⟨x̂ᵢ, mean
    x̂⟩: time and memory N·D and not N². A frame whose features are all 0 has similarity 0 to every other. In [0, 1].

    Cost: O(N·D).

    >>> Density()(PoolView(torch.tensor([[2.0, 0.0], [1.0, 0.0], [-3.0, 0.0], [0.0, 5.0]]))).tolist()  # cosines ¼, ¼, …
    [0.625, 0.625, 0.375, 0.625]
    """

    name: ClassVar[str] = "density"
    per_head: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def score(self, view: PoolView) -> Tensor:
        """Mean cosine similarity, from 0 to 1, ``[N]``."""
        assert view.features is not None
        unit = normalize(view.features.detach().cpu().double(), dim=1)  # [N, D]
        mean = unit.sum(dim=0) / max(1, len(unit))  # [D]
        return torch.cat([(1 + (rows * mean).sum(dim=1)) / 2 for rows in unit.split(_ROWS)])  # [N]
