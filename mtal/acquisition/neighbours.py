"""Exact k-nearest-neighbour search by matrix products, a bounded piece at a time.

Letters: Q queries, R references, D features, k neighbours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mtal.acquisition.embedding import product_rounding
from mtal.acquisition.threads import in_pieces

_NUMBERS = 1 << 20  # float64 numbers held at once: 8 MiB
_SORTED = 512  # values that are sorted faster than parted
_SPARE = 29  # bits that a float64 has and a float32 does not
_ROWS = 1024  # most queries at once: their products with a few hundred references stay in the processor's cache


def nearest(
    queries: Tensor, references: Tensor, k: int, exclude: Tensor | None = None, *, to_rounding: bool = False
) -> Tensor:
    """The k indices j of smallest ‖qᵢ − rⱼ‖, the closest first: ``[Q, D]`` and ``[R, D]`` to ``[Q, k]`` int64.

    argminⱼ ½‖rⱼ‖² − ⟨qᵢ, rⱼ⟩ about the mean of the references: only references whose squared distances differ by some
    10⁻¹⁵ of the squared norms may change places. Products are of float32; where their rounding could decide who is
    among the k, these few are computed in float64. The k themselves are in the order of the products. Time Q·R·D,
    memory bounded.

    Args:
        queries: ``[Q, D]``.
        references: ``[R, D]``.
        k: how many, 1 or more; fewer where not every query has k references left.
        exclude: ``[Q]`` int64, a reference that is no neighbour of the query (the query itself); -1 for none.
        to_rounding: the products decide, so of references whose squared distances differ by 10⁻⁴ of the squared norms
            in the worst case of rounding, and 10⁻⁶ as a rule, any may be among the k.

    Raises:
        ValueError: k is below 1, or queries and references differ in D.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]])
    >>> nearest(torch.tensor([[2.9]]), x, k=2).tolist()
    [[2, 1]]
    >>> nearest(x, x, k=1, exclude=torch.arange(3)).tolist()
    [[1], [0], [1]]
    """
    queries, references = queries.detach().cpu(), references.detach().cpu()
    origin = references.double().mean(dim=0)  # differences do not depend on the origin, digits do
    moved = references.double() - origin  # [R, D]
    return _smallest_sums(queries, origin, moved, moved.square().sum(dim=1) / 2, k, exclude, to_rounding)


def most_alike(queries: Tensor, references: Tensor, k: int) -> Tensor:
    """The k indices j of largest cos(qᵢ, rⱼ), the most alike first, as exact as :func:`nearest`: ``[Q, k]`` int64.

    The length of a query does not matter, so it is never divided by. Features that are all 0 are like nothing.

    >>> most_alike(torch.tensor([[2.0, 2.1]]), torch.tensor([[9.0, 0.0], [0.1, 0.1], [0.0, 1.0]]), k=2).tolist()
    [[1, 2]]
    """
    queries, references = queries.detach().cpu(), references.detach().cpu()
    unit = normalize(references.double(), dim=1)  # [R, D]
    if len(unit):
        unit -= unit.mean(dim=0)  # what all have in common does not decide
    origin = torch.zeros(queries.shape[1], dtype=torch.float64)
    return _smallest_sums(queries, origin, unit, torch.zeros(len(unit), dtype=torch.float64), k, None)


def _smallest_sums(
    queries: Tensor,
    origin: Tensor,
    references: Tensor,
    offset: Tensor,
    k: int,
    exclude: Tensor | None,
    to_rounding: bool = False,
) -> Tensor:
    """The k smallest offsetⱼ − ⟨qᵢ − origin, rⱼ⟩ of each query, ``[Q, k]``; all but the queries in float64."""
    if k < 1:
        raise ValueError(f"k must be 1 neighbour or more, not {k}")
    if queries.shape[1] != references.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} features but references {references.shape[1]}")
    left = len(references) - int(exclude is not None and bool((exclude >= 0).any()))
    k = min(k, left)
    if k <= 0 or not len(queries):
        return torch.zeros(len(queries), max(k, 0), dtype=torch.int64)
    length, farthest = float(references.square().sum(dim=1).max().sqrt()), float(offset.max())
    wide = queries.dtype == torch.float64
    coarse, coarse_offset = references.float(), offset.float()
    origin = origin.to(queries) if wide else origin.float()
    slack = 0.0 if to_rounding else product_rounding(queries.shape[1], torch.float32)
    found = torch.empty(len(queries), k, dtype=torch.int64)
    step = min(_ROWS, max(1, _NUMBERS // len(references)))

    def exact(start: int, rows: Tensor, sums: Tensor, margin: Tensor) -> Tensor:
        """Sums of some rows ``[o, R]`` in float64, exact where they could be among the k or not."""
        kth = sums.kthvalue(k, dim=1, keepdim=True).values.double()  # [o, 1]
        whole = sums.double()
        i, j = ((whole - kth).abs() <= margin[:, None]).nonzero(as_tuple=True)
        whole = torch.where(whole < kth, whole - 4 * margin[:, None], whole)  # among the k for sure, but for those
        for part in torch.arange(len(i)).split(_ROWS):
            a, b = i[part], j[part]
            products = ((queries[start + rows[a]].double() - origin) * references[b]).sum(dim=1)
            whole[a, b] = offset[b] - products
        return whole

    def search(start: int) -> None:
        given = queries[start : start + step].to(origin) - origin  # [q, D]
        rows = given.float()
        lengths = rows.norm(dim=1)  # [q]
        single = not wide or _fit_single(lengths, length)
        level, among = (coarse_offset, coarse) if single else (offset, references)
        sums = torch.addmm(level, rows if single else given, among.T, alpha=-1)  # [q, R]
        if exclude is not None:
            own = exclude[start : start + step]  # [q]
            at = (own >= 0).nonzero().squeeze(1)
            sums[at, own[at]] = torch.inf
        margin = (lengths * length + farthest).mul_(2 * slack if single else 0.0)  # [q]
        index, open_ = _smallest(sums, k, margin)
        if slack and single and len(open_):
            close = exact(start, open_, sums[open_], margin[open_].double())
            index[open_] = close.topk(k, dim=1, largest=False).indices
        found[start : start + step] = index

    in_pieces(search, range(0, len(queries), step))
    return found


def _fit_single(lengths: Tensor, length: float) -> bool:
    """Whether float32 products of vectors so long ``[q]`` with others of up to ``length`` lose digits and no more."""
    shortest, longest = torch.aminmax(lengths)
    return 1e-15 < length < 1e15 and bool(shortest > 1e-15) and bool(longest < 1e15)


def _smallest(sums: Tensor, k: int, margin: Tensor) -> tuple[Tensor, Tensor]:
    """Columns of the k smallest of each row, the smallest first, ``[q, k]``, and the rows where others are as small.

    Args:
        sums: ``[q, R]``.
        k: how many, R at most.
        margin: ``[q]``, what the largest of the k may be beyond the smallest of the others for a row to be listed.
    """
    columns = sums.shape[1]
    if columns >= 64 * k or sums.dtype == torch.float64:  # else topk would sort pairs of value and index
        values, found = sums.topk(min(k + 1, columns), dim=1, largest=False)
        return found[:, :k], (values[:, k:] <= (values[:, k - 1] + margin)[:, None]).any(dim=1).nonzero()[:, 0]
    keys = sums.double().numpy().view(np.int64)  # [q, R], of which a float32 leaves the last bits free
    keys |= np.arange(columns)
    ordered = keys.view(np.float64)
    if columns > _SORTED:
        ordered = np.partition(ordered, min(k, columns - 1), axis=1)[:, : k + 1]
    ordered = np.sort(ordered, axis=1)[:, : k + 1]
    index = ordered.view(np.int64)[:, :k] & ((1 << _SPARE) - 1)  # [q, k]
    close = ordered[:, k:] <= (ordered[:, k - 1] + margin.numpy())[:, None]  # [q, 1], or [q, 0] of k references
    return torch.from_numpy(index), torch.from_numpy(np.flatnonzero(close.any(axis=1)))


def distances(queries: Tensor, references: Tensor, index: Tensor) -> Tensor:
    """‖qᵢ − r_{index(i, j)}‖: ``[Q, D]``, ``[R, D]`` and ``[Q, k]`` to ``[Q, k]`` float64.

    From the differences, so that duplicates are at exactly 0; those of float32 features are float32, which leaves a
    relative error of 10⁻⁶ at most. Time Q·k·D, memory bounded.

    >>> x = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    >>> distances(x, x, torch.tensor([[0, 1], [0, 1]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    queries, references = queries.detach().cpu(), references.detach().cpu()
    dtype = torch.float32 if queries.dtype == references.dtype == torch.float32 else torch.float64
    found = torch.empty(index.shape, dtype=torch.float64)
    step = max(1, _NUMBERS // 4 // max(1, index.shape[1] * queries.shape[1]))

    def measure(start: int) -> None:
        rows, own = queries[start : start + step].to(dtype), index[start : start + step]
        apart = references.index_select(0, own.flatten()).to(dtype).view(*own.shape, references.shape[1])  # [q, k, D]
        found[start : start + step] = torch.linalg.vector_norm(apart.sub_(rows.unsqueeze(1)), dim=2)

    in_pieces(measure, range(0, len(queries), step))
    return found
