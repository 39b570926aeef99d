"""Non-dominated sort with crowding distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.fronts import leading_fronts
from mtal.acquisition.fusion.order import distinct_rows
from mtal.acquisition.ranks import average_rank


class Pareto(Fusion):
    """−front + crowding, crowding in [0, 1): first what no frame beats for all heads, there first what stands alone.

    NSGA-II; Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions on Evolutionary Computation 2002. Front 0 are the
    frames that no other dominates, front 1 those that only front 0 dominates, and so on. The crowding distance is the
    sum over heads of the gap between a frame's neighbours in the front, in units of the front's range; the front's
    ends come first. Equal frames are one point in this, so none is dropped and none crowds the other; where frames tie
    in one head only, they share the gap.

    Weights other than 0 make no difference: dominance knows none.

    Fronts are exact for the first ``depth`` frames and those of the same front; with six heads or more, of pools beyond
    100,000 frames, for as many of these as are among the 100,000 of best mean rank. The other frames follow by their
    mean rank over the heads, which never puts a frame before one that dominates it.
    Cost: T N log N to leave out what is too deep, then n log n for each of the fronts.

    Args:
        depth: number of frames to sort exactly, 1 or more.

    Raises:
        ValueError: the depth is below 1.

    >>> Pareto()(torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.4, 0.5]])).tolist()
    [0.75, 0.5, 0.75, -1.0]
    """

    def __init__(self, depth: int = 10_000) -> None:
        if depth < 1:
            raise ValueError(f"depth of the Pareto rule must be 1 frame or more, not {depth}")
        self.depth = depth

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Minus the front, plus crowding, ``[N]``."""
        scores = scores[:, weights > 0]  # [N, T]
        N, T = scores.shape
        fronts = leading_fronts(scores.numpy(), self.depth)  # [N]
        placed = fronts >= 0  # [N]
        points, which = distinct_rows(np.column_stack([fronts[placed], scores.numpy()[placed]]))  # [U, 1 + T], [placed]
        crowding = crowding_distance(points[:, 1:], points[:, 0].astype(np.int64))  # [U]
        crowding = np.where(np.isinf(crowding), T + 1, crowding) / (T + 2)  # T at most where it is finite
        utility = np.empty(N)
        utility[placed] = (crowding - points[:, 0])[which]
        if not placed.all():
            ranks = average_rank(scores, descending=True).mean(dim=1).numpy()[~placed]  # [N − placed], 1 to N
            utility[~placed] = -fronts.max() - 1 - (ranks - 1) / N
        return torch.from_numpy(utility)


def crowding_distance(points: npt.NDArray[np.float64], fronts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Sum over columns of the gap around a point in its front, infinite at the ends: ``[U, T], [U]`` to ``[U]``.

    g points of one value in a column share the gap around them, (next − previous)/g: what the distance is on average
    over the orders that a sort may leave them in. A column in which a whole front is equal says nothing.
    """
    crowding = np.zeros(len(points))  # [U]
    for column in points.T:
        order = np.lexsort((column, fronts))  # [U]
        front, value = fronts[order], column[order]
        new = np.append(True, (np.diff(front) != 0) | (np.diff(value) != 0))  # [U]: the first of its value
        group = new.cumsum() - 1  # [U]
        front, value = front[new], value[new]  # [G]
        first = np.append(True, np.diff(front) != 0)  # [G]: the lowest value of its front
        last = np.append(first[1:], True)  # [G]
        reach = (value[last] - value[first])[first.cumsum() - 1]  # [G]
        gap = np.full(len(value), np.inf)  # [G]
        inner = np.flatnonzero(~first & ~last)
        gap[inner] = (value[inner + 1] - value[inner - 1]) / reach[inner] / np.bincount(group)[inner]
        gap[first & last] = 0.0
        crowding[order] += gap[group]
    return crowding
