"""How far every frame is from the nearest of a growing set of centres, without comparing every pair.

Letters: N frames, P centres, R rows compared at once. A *place* is a frame's rank by hash.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import CACHED_ROWS, ROWS, Embedding
from mtal.acquisition.selectors.lazy_argmax import UpperBounds, pieces
from mtal.acquisition.threads import in_pieces

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_SMALL = 1 << 19  # so many numbers are compared faster than sorted out
_COLUMNS = 64  # centres compared at once


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
        super().__init__(hashes, np.full(len(points), np.inf), len(points) * points.width <= _SMALL)
        self.points = points
        self._outside: list[Embedding] = []  # blocks of centres that are not among the frames
        self._gathered = self._frames([])  # the first of those that are

    def fix(self, others: Embedding) -> None:
        """Make vectors centres that are not among the frames, before the first pick; all bounds know of them."""
        self._outside += [others.take(slice(start, start + ROWS)) for start in range(0, len(others), ROWS)]
        if self.measures_all:
            self.settle(np.arange(len(self.bound)))
        else:
            self._compare(np.arange(len(self.bound)), others)

    def _exact(self, places: Places) -> Floats:
        rows = self._frames(self.by_hash[places])
        centres = self._all_centres()
        least, most = zip(*(_bracket(rows, block) for block in centres), strict=True)
        reach = torch.stack(most).amin(dim=0)[:, None]  # [R, 1]: the nearest is no farther
        nearest = torch.full((len(places),), torch.inf, dtype=torch.float64)
        for block, lower in zip(centres, least, strict=True):
            i, j = (lower <= reach).nonzero(as_tuple=True)
            for part in torch.arange(len(i)).split(ROWS):
                sq = rows.take(i[part]).paired_sq_distances(block.take(j[part]))
                nearest.scatter_reduce_(0, i[part].cpu(), sq.cpu(), "amin")
        return nearest.numpy()

    def _lower(self, places: Places, first: int) -> None:
        self._compare(places, self._frames(self.picks[first:]))

    def _measure(self, position: int) -> None:
        sq = self.points.paired_sq_distances(self._frames([position])).cpu().numpy()  # [N] by position
        np.minimum(self.bound, sq[self.by_hash], out=self.bound)

    def _compare(self, places: Places, centres: Embedding) -> None:
        blocks = [centres.take(slice(first, first + _COLUMNS)) for first in range(0, len(centres), _COLUMNS)]

        def compare(part: Places) -> None:
            rows = self._frames(self.by_hash[part])
            for block in blocks:
                self.bound[part] = np.minimum(self.bound[part], _upper_bound(rows, block).cpu().numpy())

        in_pieces(compare, pieces(places))

    def _frames(self, positions: npt.ArrayLike) -> Embedding:
        return self.points.take(torch.from_numpy(np.asarray(positions, dtype=np.int64)))

    def _all_centres(self) -> list[Embedding]:
        """Blocks of centres; those among the frames are gathered anew now and then, the last few each time."""
        gathered = self._gathered  # another thread may gather too
        if len(self.picks) - len(gathered) >= _COLUMNS:
            gathered = self._gathered = self._frames(self.picks)
        last = self._frames(self.picks[len(gathered) :])
        return [block for block in (*self._outside, gathered, last) if len(block)]


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
    products = rows.inner_products(centres)  # [R, P]
    rest = products.mul_(-2).add_((grown * centres.sq_norm).to(products.dtype)).amin(dim=1)  # [R]
    return (rest.double() + grown * rows.sq_norm).clamp(min=0)


def middle(features: Tensor, by_hash: npt.NDArray[np.intp]) -> Tensor:
    """The mean of the rows, ``[N, D]`` to ``[D]`` float64, summed in the order of their hashes."""
    parts = torch.from_numpy(by_hash).split(CACHED_ROWS)
    sums = torch.empty(len(parts), features.shape[1], dtype=torch.float64)
    in_pieces(lambda k: torch.sum(features[parts[k]], dim=0, dtype=torch.float64, out=sums[k]), range(len(parts)))
    return sums.sum(dim=0) / len(features)


def within(rows: Embedding, others: Embedding, radius: float) -> Tensor:
    """Whether ‖xᵢ − yⱼ‖ ≤ radius, ``[R, P]`` bool, by float64 differences wherever rounding could decide."""
    reach = (radius**2 - rows.sq_norm)[:, None]  # [R, 1]
    margin = rows.rounding * (rows.sq_norm[:, None] + others.sq_norm.max())  # [R, 1], no less than that of any pair
    rest = rows.inner_products(others).double().mul_(-2).add_(others.sq_norm)  # [R, P], ‖xᵢ − yⱼ‖² − ‖xᵢ‖²
    inside = rest <= reach + margin  # [R, P]
    i, j = (inside & (rest >= reach - margin)).nonzero(as_tuple=True)
    for part in torch.arange(len(i)).split(ROWS):
        exact = rows.take(i[part]).paired_sq_distances(others.take(j[part])).sqrt()
        inside[i[part], j[part]] = exact <= radius
    return inside
