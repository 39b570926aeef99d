"""Exact k-nearest-neighbour search by matrix products, a bounded piece at a time.

Letters: Q queries, R references, D features, k neighbours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_NUMBERS = 1 << 20  # float64 numbers held at once: 8 MiB
_ROWS = 512  # most queries at once: their products with a few hundred references stay in the processor's cache


def nearest(queries: Tensor, references: Tensor, k: int, exclude: Tensor | None = None) -> Tensor:
    """The k indices j of smallest ‖qᵢ − rⱼ‖, the closest first: ``[Q, D]`` and ``[R, D]`` to ``[Q, k]`` int64.

    argminⱼ ½‖rⱼ‖² − ⟨qᵢ, rⱼ⟩ in float64 about the mean of the references: only references whose squared distances
    differ by some 10⁻¹⁵ of the squared norms may change places. Time Q·R·D, memory bounded.

    Args:
        queries: ``[Q, D]``.
        references: ``[R, D]``.
        k: how many, 1 or more; fewer where not every query has k references left.
        exclude: ``[Q]`` int64, a reference that is no neighbour of the query (the query itself); -1 for none.

    Raises:
        ValueError: k is below 1, or queries and references differ in D.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]])
    >>> nearest(torch.tensor([[2.9]]), x, k=2).tolist()
    [[2, 1]]
    >>> nearest(x, x, k=1, exclude=torch.arange(3)).tolist()
    [[1], [0], [1]]
    """
    if k < 1:
        raise ValueError(f"k must be 1 neighbour or more, not {k}")
    queries, references = queries.detach().cpu().double(), references.detach().cpu().double()
    if queries.shape[1] != references.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} features but references {references.shape[1]}")
    left = len(references) - int(exclude is not None and bool((exclude >= 0).any()))
    k = min(k, left)
    if k <= 0 or not len(queries):
        return torch.zeros(len(queries), max(k, 0), dtype=torch.int64)
    origin = references.mean(dim=0)  # differences do not depend on the origin, digits do
    moved = references - origin  # [R, D]
    half_sq = moved.square().sum(dim=1) / 2  # [R]
    parts = []
    step = min(_ROWS, max(1, _NUMBERS // len(references)))
    for start in range(0, len(queries), step):
        rows = queries[start : start + step] - origin  # [q, D]
        farness = torch.addmm(half_sq, rows, moved.T, alpha=-1)  # [q, R]
        if exclude is not None:
            own = exclude[start : start + step]  # [q]
            at = (own >= 0).nonzero().squeeze(1)
            farness[at, own[at]] = torch.inf
        parts.append(_smallest(farness, k))  # [q, k]
    return torch.cat(parts)


def _smallest(values: Tensor, k: int) -> Tensor:
    """Columns of the k smallest values of each row, the smallest first: ``[q, R]`` to ``[q, k]``."""
    if values.shape[1] < 64 * k:  # where topk would sort pairs of value and index
        array = values.numpy()
        kth = np.partition(array, k - 1, axis=1)[:, k - 1 : k]  # [q, 1]
        places = np.flatnonzero(array <= kth)
        if len(places) == len(array) * k:  # else some more are equal to the k-th
            column = places.reshape(-1, k) % array.shape[1]  # [q, k]
            order = np.take_along_axis(array, column, axis=1).argsort(axis=1, kind="stable")  # [q, k]
            return torch.from_numpy(np.take_along_axis(column, order, axis=1))
    return values.topk(k, dim=1, largest=False).indices


def distances(queries: Tensor, references: Tensor, index: Tensor) -> Tensor:
    """‖qᵢ − r_{index(i, j)}‖: ``[Q, D]``, ``[R, D]`` and ``[Q, k]`` to ``[Q, k]`` float64.

    From the differences, so that duplicates are at exactly 0. Time Q·k·D, memory bounded.

    >>> x = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    >>> distances(x, x, torch.tensor([[0, 1], [0, 1]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    queries, references = queries.detach().cpu().double(), references.detach().cpu().double()
    parts = []
    step = max(1, _NUMBERS // 4 // max(1, index.shape[1] * queries.shape[1]))
    for rows, own in zip(queries.split(step), index.split(step), strict=True):
        apart = references.index_select(0, own.flatten()).view(*own.shape, references.shape[1])  # [q, k, D]
        parts.append(apart.sub_(rows.unsqueeze(1)).square_().sum(dim=2).sqrt_())  # [q, k]
    return torch.cat(parts)
