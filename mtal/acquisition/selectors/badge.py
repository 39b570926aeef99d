"""Diverse batches of large gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from mtal.acquisition.embedding import Embedding
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.boost import boost, wrong_gamma
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.distances import NearestCentre
from mtal.acquisition.selectors.tie_break import largest
from mtal.acquisition.selectors.weighted_draw import WeightedDraw
from mtal.acquisition.threads import one_thread
from mtal.refusals import refuse

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_SMALL = 1 << 19  # so many numbers are measured faster than sorted out
_PENDING = 256  # centres that may wait before all bounds are brought up to date
_PATIENCE = 64  # one rejected draw costs about as much as bringing this many bounds up to date
_TOGETHER = 256  # draws looked at together once several were rejected


class Badge(Selector):
    """k-means++ on the joint gradient embedding, P(i) ∝ uᵢ^γ·D²(i, nearest pick).

    Ash et al., ICLR 2020; k-means++ is Arthur and Vassilvitskii, SODA 2007. Where all weights are 0, because every
    frame left has the gradient of a picked one, the draw is uniform over the frames left.

    In a large pool a frame is drawn by upper bounds of the weights and accepted with the chance weight / bound, which
    is the same distribution: only the frames drawn need their exact distance, and picks reach the bounds of the others
    many at a time.

    Cost: N·(C + D) per pick and head with a small constant; memory a few numbers per frame beside the embedding, whose
    C·D numbers per frame are never built.

    Args:
        gamma: 0 draws by distance alone; above 0 utilities, mapped to [0, 1] over the frames that may be picked, are
            raised to this power.
        first: ``"largest_norm"`` starts at the largest uᵢ^γ·‖gᵢ‖² as the reference code of the paper does,
            ``"sampled"`` draws the start by it, which keeps one outlier from opening every round.

    Raises:
        ValueError: an argument is out of its range.

    >>> import torch
    >>> from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
    >>> gradient = JointGradientEmbedding({"tools": GradientBlock(torch.tensor([[3.0], [3.0], [-1.0]]))})
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), gradient=gradient)
    >>> Badge()(candidates, 2, np.random.default_rng(0)).tolist()  # 1 is a duplicate of 0
    [0, 2]
    """

    because: ClassVar[str] = "unlike the other picks"

    def __init__(self, gamma: float = 0.0, first: Literal["largest_norm", "sampled"] = "largest_norm") -> None:
        self.gamma = gamma
        self.first = first
        self.needs = frozenset({"gradient", "utility"} if gamma > 0 else {"gradient"})
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from wrong_gamma(self.gamma, "badge")
        if self.first not in ("largest_norm", "sampled"):
            yield f"unknown first centre {self.first!r} of badge; choices are largest_norm and sampled"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield k-means++ centres."""
        if candidates.gradient is None:
            raise ValueError("the candidates bring no gradient")
        boosts = boost(candidates, self.gamma, constraint.free)  # [N]
        draw = _Draw(candidates.gradient, boosts, candidates.tie_break, generator)
        if self.first == "largest_norm":
            weight = boosts * candidates.gradient.sq_norm.cpu().numpy()  # [N]
            centre = largest(weight, constraint.allowed(), candidates.tie_break)
        else:
            centre = draw.next(constraint.allowed())
        while True:
            yield centre
            draw.add(centre)
            centre = draw.next(constraint.allowed())


class _Draw:
    """Draws P(i) ∝ boostᵢ·D²(i, nearest pick), ‖gᵢ‖² in place of D² before the first pick.

    In a large pool by upper bounds of D². Each draw takes one random number, and one more that accepts or rejects
    where the bound need not be the distance itself.

    Args:
        points: the joint gradient embedding.
        boosts: ``[N]``.
        hashes: ``[N]``.
        generator: the only source of randomness.
    """

    def __init__(
        self, points: Embedding, boosts: Floats, hashes: npt.NDArray[np.uint64], generator: np.random.Generator
    ) -> None:
        self._nearest = NearestCentre(points, hashes)
        self._by_hash = self._nearest.by_hash  # [N]: place to position
        self._place = np.argsort(self._by_hash)  # [N]: position to place
        self._boosts = boosts[self._by_hash]  # [N] by place
        self._sq = points.sq_norm.cpu().numpy()[self._by_hash]  # [N] by place, or an upper bound of it
        self._allowed = np.ones(len(boosts), dtype=bool)  # [N] by position
        self._draw = WeightedDraw(self._boosts * self._sq)
        self._generator = generator
        self._small = len(points) * points.width <= _SMALL
        self._exact = True  # no bound has to be looked at again
        self._rejected = 0  # draws since all bounds were brought up to date
        self._known = True  # every weight is that of its bound

    def add(self, centre: int) -> None:
        """Measure distances to one more pick."""
        opens = self._sq is not self._nearest.bound
        self._sq = self._nearest.bound
        self._exact = self._small
        if self._exact:
            with one_thread():
                sq = self._nearest.points.sq_distance_to(centre).cpu().numpy()  # [N] by position
            np.minimum(self._sq, sq[self._by_hash], out=self._sq)
            self._known = False
            return
        self._nearest.add(centre)
        if opens or self._nearest.pending >= _PENDING:
            self._refresh()

    def next(self, allowed: npt.NDArray[np.bool_]) -> int:
        """The next pick of those allowed, ``[N]`` by position."""
        changed = self._place[np.flatnonzero(allowed != self._allowed)]
        self._allowed = allowed
        if self._known:
            self._weigh(changed)
        else:
            self._weigh_all()
        together = 1
        while self._draw.total > 0:
            places = self._draw.at(self._generator.random(together))
            accepted = places if self._exact else self._accepted(places)
            if len(accepted):
                return int(self._by_hash[accepted[0]])
            self._rejected += together
            together = min(2 * together, _TOGETHER)
            if self._rejected * _PATIENCE > len(self._sq):
                self._refresh()
                self._weigh_all()
        left = self._by_hash[allowed[self._by_hash]]  # positions by hash
        return int(left[int(self._generator.random() * len(left))])

    def _accepted(self, places: Places) -> Places:
        """Those of the places that pass as draws by the distances themselves."""
        bound = self._sq[places]
        self._nearest.settle(places)
        self._weigh(places)
        return places[self._generator.random(len(places)) * bound < self._sq[places]]

    def _refresh(self) -> None:
        """Bring all bounds up to date, or make them exact where they are that already."""
        if self._nearest.pending:
            self._nearest.catch_up()
        else:
            self._nearest.settle(np.flatnonzero(self._sq > 0))
        self._rejected = 0
        self._known = False

    def _weigh(self, places: Places) -> None:
        weight = np.where(self._allowed[self._by_hash[places]], self._boosts[places] * self._sq[places], 0.0)
        self._draw.change(places, weight)

    def _weigh_all(self) -> None:
        self._draw = WeightedDraw(np.where(self._allowed[self._by_hash], self._boosts * self._sq, 0.0))
        self._known = True
