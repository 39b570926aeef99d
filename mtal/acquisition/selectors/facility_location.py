"""Representative batches: every frame of the pool has a pick that is like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import FeatureEmbedding
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.boost import boost, checked_gamma
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.distances import middle
from mtal.acquisition.selectors.lazy_argmax import Floats, LazyArgmax, Places, UpperBounds
from mtal.acquisition.threads import in_pieces

_NUMBERS = 1 << 20  # distances held at once
_STEP = 1e-10  # gains are rounded to this part of all there is to gain


class FacilityLocation(Selector):
    """argmaxⱼ Σᵢ wᵢ·max(0, mᵢ − ‖xᵢ − xⱼ‖), mᵢ the distance of frame i to the nearest labelled or picked one.

    Greedy maximisation of Σᵢ wᵢ·max over picks j of (constant − ‖xᵢ − xⱼ‖), which is at least 1 − 1/e of the best
    batch (Nemhauser, Wolsey and Fisher, Mathematical Programming 1978; Wei, Iyer and Bilmes, ICML 2015; CRAIG,
    Mirzasoleiman, Bilmes and Leskovec, ICML 2020). With nothing labelled the medoid opens. Gains only shrink, so few
    are computed again: the answer is that of computing all of them. Ties go by hash: two frames that are each other's
    nearest often gain the same, so gains that differ by less than 10⁻¹⁰ of all there is to gain count as equal.

    Cost: R·D per gain computed, of which there are about 2·N for the first two picks and few for each later one; memory
    R·D beside the features. R is the number of frames represented, so by default the cost is linear in the pool.

    Args:
        gamma: 0 gives each represented frame the same weight; above 0 utilities, mapped to [0, 1] over the frames that
            may be picked, are raised to this power: what matters is represented.
        max_reference: how many frames are represented, those of the smallest hashes; ``None`` for all of them, at a
            cost that is quadratic in the pool.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0]])
    >>> candidates = Candidates(np.arange(5, dtype=np.uint64), features=x)
    >>> FacilityLocation()(candidates, 2, np.random.default_rng(0)).tolist()  # 3 and 4 gain the same
    [2, 3]
    """

    because: ClassVar[str] = "stands for frames like it"

    def __init__(self, gamma: float = 0.0, max_reference: int | None = 4096) -> None:
        self.gamma = checked_gamma(gamma, "facility location")
        if max_reference is not None and max_reference < 1:
            raise ValueError(f"max_reference of facility location must be 1 frame or more, not {max_reference}")
        self.max_reference = max_reference
        self.needs = frozenset({"features", "utility"} if gamma > 0 else {"features"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame of largest gain."""
        gains = _Gains(candidates, boost(candidates, self.gamma, constraint.free), self.max_reference)
        best = LazyArgmax(gains)
        while True:
            pick = best.next(constraint.allowed())
            yield pick
            gains.add(pick)


class _Gains(UpperBounds):
    """Σᵢ wᵢ·max(0, mᵢ − ‖xᵢ − xⱼ‖) of every candidate j.

    Args:
        candidates: with features.
        weight: ``[N]`` ≥ 0 by position.
        max_reference: how many frames are represented, ``None`` for all.
    """

    def __init__(self, candidates: Candidates, weight: Floats, max_reference: int | None) -> None:
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        self._x = candidates.features.detach().cpu()  # [N, D]
        by_hash = np.argsort(candidates.tie_break, kind="stable")
        self._origin = middle(self._x, by_hash)  # [D]
        reference = by_hash[:max_reference]  # [R]
        self._reference = self._points(reference)
        self._weight = torch.from_numpy(weight[reference])  # [R]
        labelled = candidates.labelled_features
        if labelled is not None and len(labelled):
            self._gap = self._to_nearest(labelled.detach().cpu())  # [R] mᵢ
        else:
            radius = FeatureEmbedding(self._x, self._origin).sq_norm.max().sqrt()
            self._gap = torch.full((len(reference),), 2.1 * float(radius), dtype=torch.float64)  # beyond any distance
        most = float(self._weight @ self._gap)
        self._step = max(_STEP * most, np.finfo(np.float64).tiny)
        super().__init__(candidates.tie_break, np.full(len(self._x), most), measures_all=False)
        self.settle(np.arange(len(self._x)))

    def add(self, position: int) -> None:
        """Let the represented frames have one more pick."""
        distance = self._distances(self._points(np.array([position])))[0]  # [R]
        self._gap = torch.minimum(self._gap, distance)
        super().add(position)

    def exact(self, places: Places) -> Floats:
        """The gains at ``places``."""
        step = max(1, _NUMBERS // len(self._gap))
        gains = np.empty(len(places))

        def measure(start: int) -> None:
            gains[start : start + step] = self._exact(places[start : start + step])

        in_pieces(measure, range(0, len(places), step))
        return gains

    def _exact(self, places: Places) -> Floats:
        distances = self._distances(self._points(self.by_hash[places]))  # [P, R]
        gains = (self._gap - distances).clamp_(min=0) @ self._weight  # [P]
        return (gains / self._step).round_().mul_(self._step).numpy()

    def _lower(self, places: Places, first: int) -> None:
        """There is no cheaper bound than the gain before."""

    def _measure(self, position: int) -> None:
        """Gains are only computed when asked."""

    def _points(self, positions: npt.NDArray[np.intp]) -> FeatureEmbedding:
        return FeatureEmbedding(self._x[torch.from_numpy(positions)].double(), self._origin)

    def _distances(self, rows: FeatureEmbedding) -> Tensor:
        return rows.sq_distances(self._reference).sqrt()  # [P, R]

    def _to_nearest(self, labelled: Tensor) -> Tensor:
        step = max(1, _NUMBERS // len(self._weight))
        rows = [FeatureEmbedding(part.double(), self._origin) for part in labelled.split(step)]
        return torch.stack([self._distances(part).amin(dim=0) for part in rows]).amin(dim=0)  # [R]
