"""How far every frame is from the nearest of a growing set of centres, without comparing every pair.

Letters: N frames, P centres, R rows compared at once. A *place* is a frame's rank by hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import CACHED_ROWS, ROWS, Embedding
from mtal.acquisition.selectors.lazy_argmax import Floats, Places, ShortList, UpperBounds, pieces
from mtal.acquisition.threads import in_pieces

_KEPT = 1 << 24  # so many numbers are kept in the order of their hashes: 64 MiB
_COLUMNS = 256  # centres compared at once
_LATEST = 64  # picks gathered one by one


class NearestCentre(UpperBounds):
    """minⱼ ‖xᵢ − cⱼ‖² for frames i and centres j: an upper bound for all of them, the exact value for those asked.

    Bounds learn of a block of centres by one matrix product, which costs little more than one of a single centre, and
    allow for its rounding. Exact values are float64 differences to every centre that could be the nearest.

    Args:
        points: the N frames.
        hashes: ``[N]`` from :func:`~mtal.acquisition.selectors.tie_break.tie_break`.

    >>> from mtal.acquisition.embedding import FeatureEmbedding
    >>> x = FeatureEmbedding(torch.tensor([[0.0], [3.0], [7.0]]), torch.zeros(1))
    >>> nearest = NearestCentre(x, np.arange(3, dtype=np.uint64))
    >>> for centre in (0, 2):
    ...     nearest.add(centre)
    >>> nearest.exact(np.array([1, 2])).tolist()
    [9.0, 0.0]
    """

    def __init__(self, points: Embedding, hashes: npt.NDArray[np.uint64]) -> None:
        super().__init__(hashes, np.full(len(points), np.inf))
        self.points = points
        self._outside: list[Embedding] = []  # blocks of centres that are not among the frames
        self._from_outside: Floats | None = None  # [N] by place, the exact value that they alone give, NaN if not asked
        self._gathered = self._frames([])  # the first of those that are

    def fix(self, others: Embedding) -> None:
        """Make vectors centres that are not among the frames, before the first pick; all bounds know of them."""
        self._outside += [others.take(slice(start, start + ROWS)) for start in range(0, len(others), ROWS)]
        self._from_outside = np.full(len(self.bound), np.nan)
        self._compare(None, others)

    def short_list(self, places: Places) -> ShortList:
        """The distances at ``places``, and those between these frames."""
        self.settle(places)
        return _Listed(self, places)

    def _exact(self, places: Places) -> Floats:
        values = to_nearest(self._rows(places), self._inside())
        if self._from_outside is not None:
            unknown = places[np.isnan(self._from_outside[places])]
            if len(unknown):
                self._from_outside[unknown] = to_nearest(self._rows(unknown), self._outside)
            values = np.minimum(values, self._from_outside[places])
        return values

    def _lower(self, places: Places | None, first: int) -> None:
        self._compare(places, self._frames(self.picks[first:]))

    def _compare(self, places: Places | None, centres: Embedding) -> None:
        blocks = [centres.take(slice(first, first + _COLUMNS)) for first in range(0, len(centres), _COLUMNS)]

        def compare(part: Places | slice) -> None:
            rows = self._rows(part)
            for block in blocks:
                self.bound[part] = np.minimum(self.bound[part], _upper_bound(rows, block).cpu().numpy())

        if places is None:
            in_pieces(compare, [slice(start, start + ROWS) for start in range(0, len(self.bound), ROWS)])
        else:
            in_pieces(compare, pieces(places))

    def _rows(self, places: Places | slice) -> Embedding:
        """The frames at ``places``."""
        if self._by_place is None:
            return self._frames(self.by_hash[places])
        return self._by_place.take(places if isinstance(places, slice) else torch.from_numpy(places))

    @cached_property
    def _by_place(self) -> Embedding | None:
        """All frames in the order of their hashes, where these are few numbers."""
        few = len(self.points) * self.points.width <= _KEPT
        return self._frames(self.by_hash).kept() if few else None

    def _frames(self, positions: npt.ArrayLike) -> Embedding:
        return self.points.take(torch.from_numpy(np.asarray(positions, dtype=np.int64)))

    def _inside(self) -> list[Embedding]:
        """Blocks of the centres among the frames, gathered anew now and then, the last few each time."""
        gathered = self._gathered  # another thread may gather too
        if len(self.picks) - len(gathered) >= _LATEST:
            gathered = self._gathered = self._frames(self.picks)
        last = self._frames(self.picks[len(gathered) :])
        return [block for block in (gathered, last) if len(block)]


class _Listed(ShortList):
    """Distances of L frames to the nearest centre, and squared distances between the frames as far as products tell."""

    def __init__(self, values: NearestCentre, places: Places) -> None:
        self._values, self._places = values, places
        self.low, self.high = values.bound[places], values.bound[places].copy()
        rows = values._rows(places)  # noqa: SLF001
        scale = rows.sq_norm[:, None] + rows.sq_norm  # [L, L]
        margin = rows.rounding * scale
        between = scale.sub_(rows.inner_products(rows), alpha=2)  # [L, L]
        self._at_least = (between - margin).clamp_(min=0).cpu().numpy()
        self._at_most = between.add_(margin).clamp_(min=0).cpu().numpy()

    def lower(self, index: int) -> None:
        """Let all of them have one more centre."""
        np.minimum(self.low, self._at_least[index], out=self.low)
        np.minimum(self.high, self._at_most[index], out=self.high)

    def settle(self, indices: Places) -> None:
        """Make the distances at ``indices`` exact."""
        self.low[indices] = self.high[indices] = self._values.exact(self._places[indices])


def to_nearest(rows: Embedding, blocks: Sequence[Embedding]) -> Floats:
    """Squared distance of each row to the nearest centre in the blocks, from float64 differences, ``[R]``."""
    nearest = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    if not blocks:
        return nearest.numpy()
    least, most = zip(*(_bracket(rows, block) for block in blocks), strict=True)
    reach = torch.stack(most).amin(dim=0)[:, None]  # [R, 1]: the nearest is no farther
    for block, lower in zip(blocks, least, strict=True):
        i, j = (lower <= reach).nonzero(as_tuple=True)
        for part in torch.arange(len(i)).split(ROWS):
            sq = rows.take(i[part]).paired_sq_distances(block.take(j[part]))
            nearest.scatter_reduce_(0, i[part].cpu(), sq.cpu(), "amin")
    return nearest.numpy()


def _bracket(rows: Embedding, centres: Embedding) -> tuple[Tensor, Tensor]:
    """At most the squared distances ``[R, P]``, at least that to the nearest ``[R]``, both less (1 − ε)·‖xᵢ‖²."""
    products = rows.inner_products(centres)  # [R, P]
    margin = (2 * rows.rounding * centres.sq_norm).to(products.dtype)  # [P]
    lower = products.mul_(-2).add_(((1 - rows.rounding) * centres.sq_norm).to(products.dtype))  # [R, P]
    upper = (lower + margin).amin(dim=1)  # [R]
    return lower, upper + (2 * rows.rounding * rows.sq_norm).to(products.dtype)


def _upper_bound(rows: Embedding, centres: Embedding) -> Tensor:
    """At least the squared distance to the nearest of the centres, ``[R]`` float64; nothing below 0."""
    grown = 1 + rows.rounding
    products = centres.inner_products(rows)  # [P, R]
    rest = products.mul_(-2).add_((grown * centres.sq_norm).to(products.dtype)[:, None]).amin(dim=0)  # [R]
    return (rest.double() + grown * rows.sq_norm).clamp(min=0)


def middle(features: Tensor, by_hash: npt.NDArray[np.intp]) -> Tensor:
    """The mean of the rows, ``[N, D]`` to ``[D]`` float64, summed in the order of their hashes."""
    parts = torch.from_numpy(by_hash).split(CACHED_ROWS)
    sums = torch.empty(len(parts), features.shape[1], dtype=torch.float64)
    in_pieces(
        lambda k: torch.sum(features.index_select(0, parts[k]), dim=0, dtype=torch.float64, out=sums[k]),
        range(len(parts)),
    )
    return sums.sum(dim=0) / len(features)


def within(rows: Embedding, others: Embedding, radius: float) -> tuple[Tensor, Tensor]:
    """The pairs (i, j) with ‖xᵢ − yⱼ‖ ≤ radius, row by row, by float64 differences wherever rounding could decide."""
    products = rows.inner_products(others).cpu()  # [R, P]
    half = torch.sub(others.sq_norm.cpu().to(products.dtype) / 2, products, out=products)  # ½(‖xᵢ − yⱼ‖² − ‖xᵢ‖²)
    margin = rows.rounding * (rows.sq_norm + others.sq_norm.max()).cpu()  # [R], no less than that of any pair
    reach = (radius**2 - rows.sq_norm.cpu()) / 2  # [R]
    flat = np.flatnonzero((half <= (reach + margin).to(half.dtype)[:, None]).numpy())
    i, j = (torch.from_numpy(side) for side in np.divmod(flat, len(others)))
    unsure = (half.flatten()[torch.from_numpy(flat)] >= (reach - margin).to(half.dtype)[i]).nonzero()[:, 0]
    kept = torch.ones(len(i), dtype=torch.bool)
    for part in unsure.split(ROWS):
        exact = rows.take(i[part]).paired_sq_distances(others.take(j[part])).sqrt()
        kept[part] = exact.cpu() <= radius
    return i[kept], j[kept]
