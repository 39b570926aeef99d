"""Core-set selection: cover the pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import FeatureEmbedding, sq_length
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.distances import NearestCentre, middle
from mtal.acquisition.selectors.lazy_argmax import LazyArgmax
from mtal.acquisition.selectors.tie_break import largest


class KCenterGreedy(Selector):
    """argmaxᵢ minⱼ ‖xᵢ − xⱼ‖ over labelled and picked j: always the frame farthest from all that is covered.

    Sener and Savarese, ICLR 2018; at most twice the best possible radius (Gonzalez, TCS 1985). Exact: the answer is
    that of comparing all frames with all picks by float64 differences, so duplicates are at exactly 0 and come last,
    but most comparisons are never made. Time N·M·D for M labelled frames, then a small part of N·D per pick.

    Cost: O((M + b)·N·D) at most, far less where bounds decide.

    Args:
        embedding: ``"features"`` of the shared encoder; with nothing labelled the candidate nearest the mean of the
            candidates opens, since a farthest frame of nothing is not defined. ``"gradient"``: the joint gradient
            embedding, in which all heads have a say and labelled frames have no place; the longest gradient opens.

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    >>> candidates = Candidates(np.arange(4, dtype=np.uint64), features=x, labelled_features=torch.tensor([[0.0]]))
    >>> KCenterGreedy()(candidates, 3, np.random.default_rng(0)).tolist()
    [2, 3, 1]
    """

    because: ClassVar[str] = "far from the other picks"

    def __init__(self, embedding: Literal["features", "gradient"] = "features") -> None:
        if embedding not in ("features", "gradient"):
            raise ValueError(f"unknown embedding {embedding!r} of k-centre greedy; choices are features and gradient")
        self.embedding = embedding
        self.needs = frozenset({embedding})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame farthest from the labelled and picked ones."""
        centre: int | None
        if self.embedding == "gradient":
            nearest, centre = _by_gradient(candidates, constraint.allowed())
        else:
            nearest, centre = _by_features(candidates, constraint.allowed())
        farthest = LazyArgmax(nearest)
        if centre is None:
            centre = farthest.next(constraint.allowed())
        while True:
            yield centre
            nearest.add(centre)
            centre = farthest.next(constraint.allowed())


def _by_gradient(candidates: Candidates, allowed: npt.NDArray[np.bool_]) -> tuple[NearestCentre, int]:
    """The pool without a centre, and the frame that opens."""
    if candidates.gradient is None:
        raise ValueError("the candidates bring no gradient")
    sq_norm = candidates.gradient.sq_norm.cpu().numpy()  # [N]
    opening = largest(sq_norm, allowed, candidates.tie_break)
    return NearestCentre(candidates.gradient, candidates.tie_break), opening


def _by_features(candidates: Candidates, allowed: npt.NDArray[np.bool_]) -> tuple[NearestCentre, int | None]:
    """The pool with the labelled frames for centres; where there are none, the frame that opens."""
    if candidates.features is None:
        raise ValueError("the candidates bring no features")
    x, labelled = candidates.features.detach().cpu(), candidates.labelled_features
    mean = middle(x, np.argsort(candidates.tie_break, kind="stable"))  # [D]
    points = FeatureEmbedding(x, mean)
    nearest = NearestCentre(points, candidates.tie_break)
    if labelled is not None and len(labelled):
        nearest.fix(FeatureEmbedding(labelled.detach().cpu(), mean))
        return nearest, None
    return nearest, _nearest_to(mean, points, allowed, candidates.tie_break)


def _nearest_to(
    mean: Tensor, points: FeatureEmbedding, allowed: npt.NDArray[np.bool_], hashes: npt.NDArray[np.uint64]
) -> int:
    """The allowed frame nearest the mean, from float64 differences."""
    off = float((mean - points.origin.double()).square().sum().sqrt())  # the origin is the mean rounded
    length = points.sq_norm.sqrt().numpy()  # [N]
    reach = (length[allowed].min() + 2 * off) * (1 + points.rounding)
    close = np.flatnonzero(allowed & (length <= reach))
    sq = sq_length(points.features.index_select(0, torch.from_numpy(close)).double(), mean).numpy()
    return int(close[largest(-sq, np.ones(len(close), dtype=bool), hashes[close])])
