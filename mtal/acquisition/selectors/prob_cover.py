"""Cover the pool with balls: for rounds with few labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.embedding import ROWS, FeatureEmbedding
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.clusters import k_means
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.distances import NearestCentre, middle, within
from mtal.acquisition.selectors.lazy_argmax import LazyArgmax

Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


class ProbCover(Selector):
    """argmaxⱼ |{i not yet covered: ‖xᵢ − xⱼ‖ ≤ δ}|: the ball that covers most of what no labelled frame's ball covers.

    Yehuda, Dekel, Hacohen and Weinshall, NeurIPS 2022. Ties by hash. Once no allowed frame covers anything new, the
    frame farthest from all labelled and picked ones follows, so that the budget is met.

    Cost: N²·D, memory 4 bytes for each pair of frames within δ of each other: δ decides.

    Args:
        delta: radius of the balls; ``None`` takes the largest at which 95 % of the balls hold frames of one k-means
            cluster only (``purity``), measured on 4,096 frames of the smallest hashes.
        purity: part of the balls that must be pure, above 0 and at most 1.
        clusters: of that k-means, about as many as there are kinds of frames.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0], [30.0]])
    >>> candidates = Candidates(np.arange(6, dtype=np.uint64), features=x)
    >>> ProbCover(delta=1.0)(candidates, 3, np.random.default_rng(0)).tolist()
    [1, 3, 5]
    """

    needs = frozenset({"features"})
    because: ClassVar[str] = "like many frames that no pick is like"

    def __init__(self, delta: float | None = None, purity: float = 0.95, clusters: int = 10) -> None:
        if delta is not None and not 0 <= delta < float("inf"):
            raise ValueError(f"delta of ProbCover must be 0 or more, or null to choose it by purity, not {delta}")
        if not 0 < purity <= 1:
            raise ValueError(f"purity of ProbCover must be above 0 and at most 1, not {purity}")
        if clusters < 2:
            raise ValueError(f"clusters of ProbCover must be 2 or more, not {clusters}")
        self.delta = delta
        self.purity = purity
        self.clusters = clusters

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame that covers most, then the farthest."""
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        x = candidates.features.detach().cpu()
        by_hash = np.argsort(candidates.tie_break, kind="stable")  # [N]
        origin = middle(x, by_hash)  # [D]
        points = FeatureEmbedding(x[torch.from_numpy(by_hash)], origin)  # by place
        labelled = candidates.labelled_features
        seen = None if labelled is None or not len(labelled) else FeatureEmbedding(labelled.detach().cpu(), origin)
        delta = self.purest_radius(points) if self.delta is None else self.delta
        graph = _Balls(points, delta, seen)
        picks: list[int] = []
        while True:
            gain = np.where(constraint.allowed()[by_hash], graph.gain, 0)  # [N]
            if not gain.any():
                break
            place = int(np.argmax(gain))
            graph.cover(place)
            picks.append(int(by_hash[place]))
            yield picks[-1]
        rest = NearestCentre(FeatureEmbedding(x, origin), candidates.tie_break)
        if seen is not None:
            rest.fix(seen)
        for pick in picks:
            rest.add(pick)
        farthest = LazyArgmax(rest)
        while True:
            pick = farthest.next(constraint.allowed())
            yield pick
            rest.add(pick)

    def purest_radius(self, points: FeatureEmbedding) -> float:
        """The largest δ at which enough balls are pure: below the distance to the nearest frame of another cluster.

        Args:
            points: frames in the order of their hashes.
        """
        some = FeatureEmbedding(points.features[:ROWS].double(), points.origin.double())
        labels = torch.from_numpy(k_means(some.features, self.clusters, seed=0))  # [n]
        other = torch.full((len(some),), torch.inf, dtype=torch.float64)
        for rows in torch.arange(len(some)).split(ROWS // 8):
            sq = some.take(rows).sq_distances(some)  # [rows, n]
            other[rows] = sq.masked_fill_(labels[rows, None] == labels, torch.inf).amin(dim=1)
        impure = min(int((1 - self.purity) * len(some) + 1e-9), len(some) - 1)
        sq_radius = float(other.sort().values[impure])
        return float(np.nextafter(sq_radius**0.5, 0)) if np.isfinite(sq_radius) else 0.0


class _Balls:
    """Which frames lie within δ of each frame, and how many of these are not covered yet.

    Attributes:
        gain: ``[N]`` frames that the ball of each would newly cover.
    """

    def __init__(self, points: FeatureEmbedding, delta: float, labelled: FeatureEmbedding | None) -> None:
        starts, members = [0], []
        for start in range(0, len(points), ROWS // 8):
            inside = within(points.take(slice(start, start + ROWS // 8)), points, delta)  # [rows, N]
            starts += (starts[-1] + inside.sum(dim=1).cumsum(dim=0)).tolist()
            members.append(inside.nonzero()[:, 1].to(torch.int32))
        self._starts = np.array(starts)  # [N + 1]
        self._members = torch.cat(members).numpy()  # [edges]
        self._covered = np.zeros(len(points), dtype=bool)  # [N]
        self.gain = np.diff(self._starts)  # [N]
        if labelled is not None:
            parts = points.features.split(ROWS // 8)
            rows = [FeatureEmbedding(part, points.origin) for part in parts]
            self._cover(torch.cat([within(part, labelled, delta).any(dim=1) for part in rows]).numpy())

    def cover(self, place: int) -> None:
        """Cover the ball of ``place``."""
        newly = np.zeros(len(self._covered), dtype=bool)
        newly[self._ball(place)] = True
        self._cover(newly & ~self._covered)

    def _cover(self, newly: Bools) -> None:
        self._covered |= newly
        lengths = np.diff(self._starts)[newly]
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)  # [edges]
        edges = np.repeat(self._starts[:-1][newly], lengths) + np.arange(len(before)) - before
        # every ball that holds one of them loses it, and these are the frames in its own ball
        self.gain -= np.bincount(self._members[edges], minlength=len(self.gain))

    def _ball(self, place: int) -> npt.NDArray[np.int32]:
        return self._members[self._starts[place] : self._starts[place + 1]]
