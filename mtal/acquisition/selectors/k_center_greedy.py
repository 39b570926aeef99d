"""Core-set selection: cover the pool."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import largest

_ROWS = 4096  # rows compared at once, which bounds the memory


class KCenterGreedy(Selector):
    """argmaxᵢ minⱼ ‖xᵢ − xⱼ‖ over labelled and picked j: always the frame farthest from all that is covered.

    Sener and Savarese, ICLR 2018; at most twice the best possible radius (Gonzalez, TCS 1985). With nothing labelled
    the candidate nearest the mean of the candidates opens, since a farthest frame of nothing is not defined. Squared
    distances are sums of squared float64 differences, so duplicates are at exactly 0 and come last.

    >>> x = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    >>> candidates = Candidates(np.arange(4, dtype=np.uint64), features=x, labelled_features=torch.tensor([[0.0]]))
    >>> KCenterGreedy()(candidates, 3, np.random.default_rng(0)).tolist()
    [2, 3, 1]
    """

    needs = frozenset({"features"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame farthest from the labelled and picked ones."""
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        x = candidates.features.detach().cpu().double()  # [N, D]
        labelled = candidates.labelled_features
        if labelled is not None and len(labelled):
            nearest = _sq_distance_to_nearest(x, labelled.detach().cpu().double())  # [N]
            centre = largest(nearest.numpy(), constraint.allowed(), candidates.tie_break)
        else:
            nearest = torch.full((len(x),), torch.inf, dtype=torch.float64)  # [N]
            closeness = -_sq_distance(x, x.mean(dim=0))  # [N]
            centre = largest(closeness.numpy(), constraint.allowed(), candidates.tie_break)
        while True:
            yield centre
            nearest = torch.minimum(nearest, _sq_distance(x, x[centre]))  # [N]
            centre = largest(nearest.numpy(), constraint.allowed(), candidates.tie_break)


def _sq_distance(x: Tensor, y: Tensor) -> Tensor:
    """‖xᵢ − yᵢ‖², ``[N, D]`` and ``[N, D]`` or ``[D]`` to ``[N]``."""
    if y.ndim == 1:
        y = y.expand_as(x)
    rows = zip(x.split(_ROWS), y.split(_ROWS), strict=True)
    return torch.cat([(a - b).square().sum(dim=1) for a, b in rows])  # [N]


def _sq_distance_to_nearest(x: Tensor, centres: Tensor) -> Tensor:
    """minⱼ ‖xᵢ − cⱼ‖², ``[N, D]`` and ``[M, D]`` to ``[N]``.

    A matrix product finds the nearest centre; the distance to it is then taken from the differences, because the
    product loses the digits of small distances.
    """
    origin = centres.mean(dim=0)  # differences do not depend on the origin, digits do
    moved = centres - origin  # [M, D]
    half_sq = moved.square().sum(dim=1) / 2  # [M]
    index = torch.cat([(half_sq - (rows - origin) @ moved.T).argmin(dim=1) for rows in x.split(_ROWS)])  # [N]
    return _sq_distance(x, centres[index])
