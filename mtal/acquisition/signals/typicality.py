"""Frames in the thick of the pool."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.draw import content_hash, draw
from mtal.acquisition.embedding import sq_length
from mtal.acquisition.neighbours import distances, nearest
from mtal.acquisition.references import affordable
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView


class Typicality(PoolSignal):
    """1/(1 + d̄/s), d̄ = k⁻¹ Σ_{n ∈ kNN(x)} ‖x − n‖ the mean distance to the k nearest other frames of the pool.

    Hacohen, Dekel and Weinshall, ICML 2022, who take 1/d̄: the same order, but here duplicates get 1 and not infinity,
    and s, the root mean squared distance of the pool to its mean, frees the value of the features' unit. In [0, 1]: a
    frame alone in the pool gets 0.

    Exact, and quadratic in the pool, up to ``max_reference`` frames; beyond it neighbours are sought among that many
    frames, drawn by :func:`~mtal.acquisition.draw.draw` (content and seed), so the order of the frames does not matter
    and time is N·max_reference·D. Of more than 2³¹ pairs, beyond 262,144 frames, fewer are drawn, down to 1024. One
    copy of a frame is never its own neighbour.

    Among R of N frames the k nearest reach as far as k·N/R do among all, so it is the density at a larger scale. With
    2,147 of 10,000 the rank correlation with the exact value is 0.98 on independent Gaussian features, and 0.17 on
    videos whose neighbouring frames are each other's neighbours.

    Cost: O(N·R·D) for R reference frames.

    Args:
        k: neighbours, 1 or more.
        max_reference: most frames among which neighbours are sought, above k.

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[0.0], [0.0], [3.0]])  # s = √2
    >>> [round(value, 4) for value in Typicality(k=1)(PoolView(x)).tolist()]  # d̄ = 0, 0, 3
    [1.0, 1.0, 0.3204]
    """

    name: ClassVar[str] = "typicality"
    per_head: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(self, k: int = 20, max_reference: int = 8192) -> None:
        if k < 1:
            raise ValueError(f"k must be 1 neighbour or more, not {k}")
        if max_reference <= k:
            raise ValueError(f"max_reference must be above k = {k}, not {max_reference}")
        self.k = k
        self.max_reference = max_reference

    def score(self, view: PoolView) -> Tensor:
        """Typicality, ``[N]``."""
        assert view.features is not None
        x = view.features.detach().cpu()  # [N, D]
        if len(x) < 2:
            return torch.zeros(len(x), dtype=torch.float64)
        size = max(affordable(len(x), self.max_reference, self.name), self.k + 1)
        chosen = draw(x, size, view.seed)  # [R]
        itself = chosen if len(chosen) == len(x) else _copy_among(x, chosen, view.seed)  # [N]
        index = nearest(x, x[chosen], self.k, exclude=itself)  # [N, k]
        mean = distances(x, x[chosen], index).mean(dim=1)  # [N]
        scale = sq_length(x, x.mean(dim=0, dtype=torch.float64)).mean().sqrt()
        return 1 / (1 + mean / scale.where(scale > 0, 1.0))  # [N]


def _copy_among(x: Tensor, chosen: Tensor, seed: int) -> Tensor:
    """Which of the chosen frames is equal to each frame, -1 for none: ``[N, D]`` and ``[R]`` to ``[N]``."""
    hashes = content_hash(x, seed)  # [N]
    unique, first = np.unique(hashes[chosen.numpy()], return_index=True)
    at = np.searchsorted(unique, hashes).clip(max=len(unique) - 1)  # [N]
    return torch.from_numpy(np.where(unique[at] == hashes, first[at], -1))
