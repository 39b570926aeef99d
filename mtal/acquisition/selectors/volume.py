"""What each frame multiplies the volume of a batch by.

Letters: N frames, D numbers per frame, P places asked for, L frames on a short list.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import ROWS, product_rounding, rows_at, sq_length
from mtal.acquisition.selectors.lazy_argmax import Floats, Places, ShortList, UpperBounds, pieces
from mtal.acquisition.threads import in_pieces

_COARSE = 2.0**-6  # bounds may be this part of the largest too high
_SAME = 1e-12  # volumes that differ by this part of the frame's own are equal but for rounding
_NOTHING = 1e-30  # features of less length have none that single precision can scale
_CLOSE = 32  # most frames that are looked at again at each pick


class Vectors:
    """qᵢ·xᵢ/‖xᵢ‖, ``[N, D]`` float64, made when asked; 0 for a frame without features.

    Args:
        x: ``[N, D]``.
        quality: ``[N]``.
    """

    def __init__(self, x: Tensor, quality: Floats) -> None:
        norm = sq_length(x).sqrt_()  # [N]
        norm = torch.where(norm > _NOTHING, norm, 0.0)
        self._x = x
        self.sq_norm = np.where(norm.numpy() > 0, quality**2, 0.0)  # [N]
        self.scale = np.divide(quality, norm.numpy(), out=np.zeros(len(x)), where=norm.numpy() > 0)  # [N]
        self.shape = x.shape

    def __getitem__(self, positions: npt.NDArray[np.intp] | slice) -> Tensor:
        index = positions if isinstance(positions, slice) else torch.from_numpy(positions)
        return rows_at(self._x, index).double() * torch.from_numpy(self.scale[positions])[:, None]

    def one(self, position: int) -> Floats:
        """That of one frame, ``[D]``."""
        return self._x[position].double().numpy() * self.scale[position]

    def single(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """The same in float32, ``[P, D]``."""
        rows = self._x.index_select(0, torch.from_numpy(positions))
        wide = rows if rows.dtype == torch.float64 else rows.float()
        return wide.mul_(torch.from_numpy(self.scale[positions]).to(wide)[:, None]).float().numpy()

    def lost(self, positions: npt.NDArray[np.intp] | slice, directions: Tensor, known: npt.NDArray[np.int32]) -> Tensor:
        """Σₖ ⟨bᵢ, dₖ⟩² over all k but the first ``known [P]``, ``[P]`` float64, in the precision of the directions."""
        rows = rows_at(self._x, positions if isinstance(positions, slice) else torch.from_numpy(positions))
        squares = (rows.to(directions.dtype) @ directions.T).square_()  # [P, K]
        if known.any():
            squares.masked_fill_(torch.arange(len(directions)) < torch.from_numpy(known)[:, None], 0.0)
        return squares.sum(dim=1).double().mul_(torch.from_numpy(np.square(self.scale[positions])))

    @property
    def rounding(self) -> float:
        """ε with an error of float32 products of at most ε·‖bᵢ‖·‖dₖ‖."""
        return product_rounding(self.shape[1], torch.float32)


class Volume(UpperBounds):
    """What each frame multiplies det(L_S + ridge·I) by: ridge + bᵢᵀ (I + B_Sᵀ B_S / ridge)⁻¹ bᵢ.

    Each pick takes a square away from it, so that it is ridge + ‖bᵢ‖² − Σ (bᵢᵀ dₖ)² with one direction dₖ per pick.

    Args:
        vectors: the rows bᵢ of B.
        hashes: ``[N]``.
        ridge: above 0.
    """

    def __init__(self, vectors: Vectors, hashes: npt.NDArray[np.uint64], ridge: float) -> None:
        super().__init__(hashes, ridge + vectors.sq_norm)
        self.vectors = vectors
        self._ridge = ridge
        self.start = self.bound.copy()  # [N]
        self._directions = np.empty((0, vectors.shape[1]))  # [picks or more, D]
        self._known = 0  # picks whose directions are known

    @property
    def directions(self) -> Floats:
        """dₖ of each pick, ``[picks, D]``, none longer than 1."""
        for k in range(self._known, len(self.picks)):
            known, b = self._directions[:k], self.vectors.one(self.picks[k])  # [k, D], [D]
            if k == len(self._directions):
                self._directions = np.concatenate([known, np.empty((k + 1, len(b)))])
            self._directions[k] = _towards(b, known, self._ridge)
            self._known = k + 1
        return self._directions[: self._known]

    def short_list(self, places: Places) -> ShortList:
        """The values at ``places`` and what they have in common, from float64 products."""
        return _Listed(self, places)

    def _exact(self, places: Places) -> Floats:
        lost = np.square(self.vectors[self.by_hash[places]].numpy() @ self.directions.T).sum(axis=1)  # [P]
        return np.maximum(self.start[places] - lost, 0.0)

    def _lower(self, places: Places | None, first: int) -> None:
        directions = torch.from_numpy(self.directions[first:])
        K = len(directions)
        slack = 2 * self.vectors.rounding * (1 + K * self.vectors.rounding) * K**0.5 + K * 2.0**-24
        coarse = slack <= _COARSE * self.bound.max(initial=0.0)
        if coarse:
            directions = directions.float()
        place = np.argsort(self.by_hash) if places is None else None  # [N]: position to place

        def take_away(part: Places | slice) -> None:
            own = part if place is None else place[part]  # places
            at = self.by_hash[part] if place is None else part  # positions
            lost = self.vectors.lost(at, directions, self._seen[own] - first).numpy()  # [P]
            if coarse:
                lost -= slack * self.start[own]
            self.bound[own] = np.clip(self.bound[own] - lost, 0.0, self.bound[own])

        if places is None:
            in_pieces(take_away, [slice(start, start + ROWS) for start in range(0, len(self.bound), ROWS)])
        else:
            in_pieces(take_away, pieces(places))


class _Listed(ShortList):
    """Values of L frames; those that rounding cannot tell apart are equal.

    What two of them have in common, less what the picks took away, is kept as it was when the list was made, and what
    each pick from the list took away since as one row (Chen, Zhang and Zhou, NeurIPS 2018).
    """

    def __init__(self, values: Volume, places: Places) -> None:
        rows = values.vectors[values.by_hash[places]].numpy()  # [L, D]
        lost = rows @ values.directions.T  # [L, picks]
        self._common = rows @ rows.T - lost @ lost.T  # [L, L]
        self._taken = np.empty((len(rows), len(rows)))  # [picks, L]
        self._picks = 0
        self._margin = _SAME * values.start[places]  # [L]
        self._value = np.maximum(values.start[places] - np.square(lost).sum(axis=1), self._margin)  # [L]
        self._bracket()

    def lower(self, index: int) -> None:
        """Take the direction of one more pick away."""
        before = self._taken[: self._picks]
        row = (self._common[index] - before[:, index] @ before) / self._value[index] ** 0.5  # [L]
        self._taken[self._picks] = row
        self._picks += 1
        self._value = np.maximum(self._value - np.square(row), self._margin)
        self._bracket()

    def settle(self, indices: Places) -> None:
        """Make them all equal to their largest."""
        self._value[indices] = self.low[indices] = self.high[indices] = self._value[indices].max()

    def _bracket(self) -> None:
        self.low, self.high = self._value - self._margin, self._value + self._margin


def largest_of_few(vectors: Vectors, order: Places, ridge: float, budget: int) -> Places:
    """Those of the positions ``order [F]`` that multiply the volume most, one after the other, ``[budget]``.

    Every value is brought up to date at each pick by float32 products, with what these may be off; where that could
    decide, values are computed in float64. The first in order goes first among equals.
    """
    sq_norm = vectors.sq_norm[order]  # [F]
    start, off = ridge + sq_norm, np.zeros(len(order))  # [F]
    value, margin = start.copy(), _SAME * start  # [F]
    apart = 2 * margin.max()
    rows = vectors.single(order)  # [F, D]
    half = (vectors.rounding / 2 * np.sqrt(sq_norm)).astype(np.float32)  # [F], of what a product may be off
    directions = np.empty((budget, rows.shape[1]))  # [picks so far and more, D]
    picks: list[int] = []
    while True:
        high = value + off
        best = int(high.argmax())
        (close,) = (high >= value[best] - off[best] - apart).nonzero()
        if len(close) > 1 and off[close].any():
            if len(close) > _CLOSE:
                rows, half = vectors[order].numpy(), np.zeros_like(half)
                close = np.flatnonzero(value > -np.inf)  # all that are not picked
            along = vectors[order[close]].numpy() @ directions[: len(picks)].T  # [close, picks]
            value[close] = np.maximum(start[close] - np.square(along).sum(axis=1), margin[close])
            off[close] = 0.0
            continue
        if len(close) > 1:
            top = close[value[close].argmax()]
            best = int(close[value[close] + margin[close] >= value[top] - margin[top]][0])
        picks.append(best)
        if len(picks) == budget:
            return order[picks]
        direction = _towards(vectors.one(int(order[best])), directions[: len(picks) - 1], ridge)  # [D]
        directions[len(picks) - 1] = direction
        value[best] = -np.inf
        along = np.abs(rows @ direction.astype(rows.dtype))  # [F]
        value -= np.square(along)
        off += (along + half) * (4 * half)


def _towards(b: Floats, directions: Floats, ridge: float) -> Floats:
    """The direction of one more pick b after those of the others, ``[D]`` and ``[picks, D]`` to ``[D]``."""
    ahead = b - (directions @ b) @ directions
    return ahead / (ahead @ b + max(ridge, _SAME * float(b @ b))) ** 0.5
