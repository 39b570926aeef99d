"""Ranks that do not depend on the order of the rows."""

from __future__ import annotations

import torch
from scipy.stats import rankdata
from torch import Tensor


def average_rank(values: Tensor, *, descending: bool = False) -> Tensor:
    """Rank of each value in its column from 1 to N, ties sharing their average rank: ``[N, T]`` to ``[N, T]``.

    Args:
        values: ``[N, T]``; NaN keeps NaN and is not counted.
        descending: rank 1 goes to the largest value instead of the smallest.

    >>> average_rank(torch.tensor([[0.2], [0.9], [0.2]])).flatten().tolist()
    [1.5, 3.0, 1.5]
    """
    array = values.detach().cpu().double().numpy()
    if array.size == 0:
        return values.double()
    ranks = rankdata(-array if descending else array, method="average", axis=0, nan_policy="omit")
    return torch.as_tensor(ranks, dtype=torch.float64, device=values.device)
