"""Frames that resemble the rest of the pool."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.embedding import CACHED_ROWS, sq_length
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.threads import in_pieces


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
        x = view.features.detach().cpu()  # [N, D]
        length = sq_length(x).sqrt_()  # [N]
        scale = torch.where(length > 0, 1 / length, 0.0)  # [N]
        parts = [slice(start, start + CACHED_ROWS) for start in range(0, len(x), CACHED_ROWS)]
        sums = torch.zeros(len(parts), x.shape[1], dtype=torch.float64)
        cosine = torch.empty(len(x), dtype=torch.float64)

        def add_up(k: int) -> None:
            torch.mv(x[parts[k]].double().T, scale[parts[k]], out=sums[k])

        in_pieces(add_up, range(len(parts)))
        mean = sums.sum(dim=0) / max(1, len(x))  # [D]

        def compare(part: slice) -> None:
            torch.mv(x[part].double(), mean, out=cosine[part])

        in_pieces(compare, parts)
        return (1 + cosine * scale) / 2  # [N]
