"""Ranks that do not depend on the order of the rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def average_rank(values: Tensor, *, descending: bool = False) -> Tensor:
    """Rank of each value in its column from 1 to N, ties sharing their average rank: ``[N, T]`` to ``[N, T]``.

    One sort per column, N log N.

    Args:
        values: ``[N, T]``; NaN keeps NaN and is not counted.
        descending: rank 1 goes to the largest value instead of the smallest.

    >>> average_rank(torch.tensor([[0.2], [0.9], [0.2]])).flatten().tolist()
    [1.5, 3.0, 1.5]
    """
    columns = _columns(values)  # [T, N]
    if descending:
        columns = np.negative(columns)
    ranks = np.empty_like(columns)  # [T, N]
    places = np.arange(1.0, columns.shape[1] + 1)  # [N]
    for column, rank in zip(columns, ranks, strict=True):
        order = column.argsort()  # [N], NaN last
        ordered = column[order]  # [N]
        new = ordered[1:] != ordered[:-1]  # [N − 1]
        if new.all():
            rank[order] = places
        else:
            starts = np.flatnonzero(np.r_[True, new])  # of the runs of ties
            lengths = np.diff(starts, append=len(ordered))
            rank[order] = np.repeat(starts + (lengths + 1) / 2, lengths)
        if len(order) and np.isnan(ordered[-1]):
            rank[np.isnan(column)] = np.nan
    # rows in one piece: along others PyTorch sums the last rows in another order than the first
    return torch.from_numpy(np.ascontiguousarray(ranks.T)).to(values.device)  # [N, T]


def rank_among(values: Tensor, reference: Tensor) -> Tensor:
    """Rank that each value takes among the reference's: ``[N, T]`` and ``[R, T]`` without NaN to ``[N, T]`` in [1, R].

    A value that the reference has gets the average rank of its equals there, so ``rank_among(v, v)`` is
    ``average_rank(v)``. A value between two neighbours of ranks i and i + 1 gets i + ½; one beyond the ends gets the
    rank of the end.

    >>> rank_among(torch.tensor([[0.0], [0.2], [0.5], [2.0]]), torch.tensor([[0.2], [0.9], [0.2]])).flatten().tolist()
    [1.0, 1.5, 2.5, 3.0]
    """
    columns, references = _columns(values), np.sort(_columns(reference), axis=1)  # [T, N], [T, R]
    ranks = np.empty_like(columns)  # [T, N]
    for column, known, rank in zip(columns, references, ranks, strict=True):
        order = column.argsort()  # [N]; a binary search in order stays in the cache
        below = known.searchsorted(column[order], side="left")  # [N]
        up_to = known.searchsorted(column[order], side="right")  # [N]
        rank[order] = (below + up_to + 1) / 2
    ranks = ranks.clip(1, references.shape[1])
    return torch.from_numpy(np.ascontiguousarray(ranks.T)).to(values.device)  # [N, T]


def _columns(values: Tensor) -> np.ndarray:
    """``[N, T]`` to ``[T, N]`` float64, each column in one piece."""
    return np.ascontiguousarray(values.detach().cpu().double().numpy().T)
