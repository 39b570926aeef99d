"""Diverse batches of large gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import largest

Floats = npt.NDArray[np.float64]


class Badge(Selector):
    """k-means++ on the joint gradient embedding, P(i) ∝ uᵢ^γ·D²(i, nearest pick).

    Ash et al., ICLR 2020; k-means++ is Arthur and Vassilvitskii, SODA 2007. Each step costs one pass over the factors
    of the embedding. Where all weights are 0, because every frame left has the gradient of a picked one, the draw is
    uniform over the frames left.

    Args:
        gamma: 0 draws by distance alone; above 0 utilities, mapped to [0, 1] over the frames that may be picked, are
            raised to this power.
        first: ``"largest_norm"`` starts at the largest uᵢ^γ·‖gᵢ‖² as the reference code of the paper does,
            ``"sampled"`` draws the start by it, which keeps one outlier from opening every round.

    >>> import torch
    >>> from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
    >>> gradient = JointGradientEmbedding({"tools": GradientBlock(torch.tensor([[3.0], [3.0], [-1.0]]))})
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), gradient=gradient)
    >>> Badge()(candidates, 2, np.random.default_rng(0)).tolist()  # 1 is a duplicate of 0
    [0, 2]
    """

    def __init__(self, gamma: float = 0.0, first: Literal["largest_norm", "sampled"] = "largest_norm") -> None:
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma of badge must be 0 or more, not {gamma}")
        if first not in ("largest_norm", "sampled"):
            raise ValueError(f"unknown first centre {first!r} of badge; choices are largest_norm and sampled")
        self.gamma = gamma
        self.first = first
        self.needs = frozenset({"gradient", "utility"} if gamma > 0 else {"gradient"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield k-means++ centres."""
        if candidates.gradient is None:
            raise ValueError("the candidates bring no gradient")
        hashes = candidates.tie_break
        by_hash = np.argsort(hashes, kind="stable")  # [N]: draws must not depend on the order of the rows
        boost = self._boost(candidates, constraint)  # [N]
        weight = boost * candidates.gradient.sq_norm.cpu().numpy()  # [N]
        if self.first == "largest_norm":
            centre = largest(weight, constraint.allowed(), hashes)
        else:
            centre = _draw(weight, constraint.allowed(), by_hash, generator)
        yield centre
        nearest = np.full(len(candidates), np.inf)  # [N], D² to the nearest pick
        while True:
            np.minimum(nearest, candidates.gradient.sq_distance_to(centre).cpu().numpy(), out=nearest)
            centre = _draw(boost * nearest, constraint.allowed(), by_hash, generator)
            yield centre

    def _boost(self, candidates: Candidates, constraint: Constraint) -> Floats:
        """uᵢ^γ with u mapped to [0, 1], ``[N]``; 1 where all are equal."""
        if self.gamma == 0:
            return np.ones(len(candidates))
        utility = require(candidates.utility, "utility")  # [N]
        free = constraint.free
        low, high = utility[free].min(), utility[free].max()
        if high == low:
            return np.ones(len(candidates))
        return np.where(free, ((np.where(free, utility, low) - low) / (high - low)) ** self.gamma, 0.0)


def _draw(
    weight: Floats, allowed: npt.NDArray[np.bool_], by_hash: npt.NDArray[np.intp], generator: np.random.Generator
) -> int:
    """Position drawn with P(i) ∝ weight over the allowed ones, uniformly where all their weights are 0."""
    weight = np.where(allowed, weight, 0.0)
    if not weight.any():
        weight = allowed.astype(np.float64)
    cumulative = np.cumsum(weight[by_hash])  # [N]
    place = np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")
    last = np.searchsorted(cumulative, cumulative[-1], side="left")  # rounding must not step past the last weight
    return int(by_hash[min(place, last)])
