"""What keeps a rule that takes frames one after the other independent of the order of frames and heads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor


def precedence(weights: Tensor, tasks: tuple[str, ...] | None) -> list[int]:
    """Columns that have a say: heavier first, then by name, then by column.

    >>> import torch
    >>> precedence(torch.tensor([1.0, 0.0, 1.0, 2.0]), ("tools", "phase", "bleeding", "anatomy"))
    [3, 2, 0]
    """
    heads = [t for t, weight in enumerate(weights.tolist()) if weight > 0]
    return sorted(heads, key=lambda t: (-float(weights[t]), tasks[t] if tasks else "", t))


def distinct_rows(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rows that differ, in rising lexicographic order, and which of them each row is: ``[N, T]`` to ``[U, T], [N]``.

    >>> rows, which = distinct_rows(np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 2.0]]))
    >>> rows.tolist(), which.tolist()
    ([[0.0, 3.0], [1.0, 2.0]], [1, 0, 1])
    """
    order = np.lexsort(values.T[::-1])  # [N]
    ordered = values[order]  # [N, T]
    new = np.ones(len(values), dtype=bool)  # [N]
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    which = np.empty(len(values), dtype=np.int64)  # [N]
    which[order] = new.cumsum() - 1
    return ordered[new], which
