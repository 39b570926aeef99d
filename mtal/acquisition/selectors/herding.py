"""Cover what the model is unsure of: few labels or many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mtal.acquisition.embedding import ROWS, FeatureEmbedding
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.boost import boost, wrong_gamma
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.facility_location import Gains, largest_gains
from mtal.refusals import refuse

_WIDEST = 1.0  # of unit vectors, while no two labelled frames tell
_SAME = 1e-3


class Herding(Selector):
    """argmaxⱼ Σᵢ uᵢ^γ·max(0, k(xᵢ, xⱼ) − mᵢ), k = exp(−‖xᵢ − xⱼ‖²/σ²), mᵢ the largest k to a labelled or picked one.

    γ = 0 is MaxHerding (Bae, Noh and Sutherland, ECCV 2024), γ = 1 is UHerding (Bae, Oliveira and Sutherland, ICLR
    2025), which covers frames in proportion to how unsure the model is of them: much like herding alone while uncertain
    everywhere, and like taking the most uncertain ones when σ has shrunk. Features are scaled to length 1. There u is
    the margin of one calibrated classifier; here it is the utility of all heads, mapped to [0, 1] over the frames that
    may be picked, so calibration is that of ``acquisition.calibrate``. Gains that differ by less than 10⁻¹⁰ of all
    there is to gain count as equal, and these go by hash.

    Cost: as facility location: N·R·D for R represented frames, so by default linear in the pool.

    Args:
        gamma: power of the utilities; 0 takes no notice of them.
        radius: σ, above 0; ``None`` takes the smallest distance above 0 between two labelled frames, as UHerding
            does (MaxHerding keeps one), and 1 where there is none.
        max_reference: how many frames are represented, those of the smallest hashes; ``None`` for all of them, at a
            cost that is quadratic in the pool.

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [-0.1, 1.0]])
    >>> candidates = Candidates(np.arange(5, dtype=np.uint64), features=x)
    >>> Herding(gamma=0.0)(candidates, 2, np.random.default_rng(0)).tolist()  # 3 and 4 gain the same
    [2, 3]
    """

    because: ClassVar[str] = "stands for frames like it"

    def __init__(self, gamma: float = 1.0, radius: float | None = None, max_reference: int | None = 4096) -> None:
        self.gamma = gamma
        self.radius = radius
        self.max_reference = max_reference
        self.needs = frozenset({"features", "utility"} if gamma > 0 else {"features"})
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from wrong_gamma(self.gamma, "herding")
        if self.radius is not None and not 0 < self.radius < float("inf"):
            yield f"radius of herding must be above 0, or null to take it from the labelled frames: {self.radius}"
        if self.max_reference is not None and self.max_reference < 1:
            yield f"max_reference of herding must be 1 frame or more, not {self.max_reference}"

    def reason(self, round_number: int) -> str:
        """Utilities of power 0 are not read."""
        return "stands for uncertain frames like it" if self.gamma > 0 else self.because

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame of largest gain."""
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        labelled = candidates.labelled_features
        seen = None if labelled is None or not len(labelled) else _unit(labelled)
        radius = self._radius(seen)
        unit = dataclasses.replace(candidates, features=_unit(candidates.features), labelled_features=seen)
        weight = boost(candidates, self.gamma, constraint.free)
        gains = Gains(unit, weight, self.max_reference, _unlike(radius), most=1.0)
        yield from largest_gains(gains, constraint)

    def _radius(self, labelled: Tensor | None) -> float:
        if self.radius is not None:
            return self.radius
        return _WIDEST if labelled is None else closest(labelled) or _WIDEST


def closest(features: Tensor) -> float:
    """The smallest distance between two rows of ``[M, D]`` of length 1 that differ, 0 where there are none; cost M²·D.

    Rows within ``_SAME`` are one picture, which two batches of an encoder give but for rounding.
    """
    rows = FeatureEmbedding(features.double(), features.double().mean(dim=0))
    least = torch.inf
    for start in range(0, len(rows), ROWS):
        sq = rows.take(slice(start, start + ROWS)).sq_distances(rows)  # [rows, M]
        apart = sq > _SAME**2
        least = min(least, float(sq[apart].min())) if apart.any() else least
    return 0.0 if least == torch.inf else least**0.5


def _unit(features: Tensor) -> Tensor:
    features = features.detach().cpu()
    return normalize(features if features.dtype == torch.float64 else features.float(), dim=1)


def _unlike(radius: float) -> Callable[[Tensor], Tensor]:
    """1 − k, in place and without cancellation."""

    def unlike(distances: Tensor) -> Tensor:
        return distances.div_(radius).square_().neg_().expm1_().neg_()

    return unlike
