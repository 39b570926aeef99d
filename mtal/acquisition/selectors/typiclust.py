"""Typical frames of every part of the pool: for rounds with few labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.neighbours import distances, nearest
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.clusters import k_means
from mtal.acquisition.selectors.constraints import Constraint
from mtal.refusals import refuse


class TypiClust(Selector):
    """argmaxᵢ 1 / (mean distance to the nearest 20 of its cluster), in the largest cluster without a labelled frame.

    Hacohen, Dekel and Weinshall, ICML 2022. k-means makes as many clusters as there are labelled frames and picks to
    come. Each pick comes from the cluster with the fewest labelled and picked frames, the larger first; clusters of
    fewer than ``minimum_size`` frames wait until the others are used up. Typicality is measured among the frames of the
    cluster that are neither labelled nor picked; mean distances are compared, not divided by, so a cluster of
    duplicates does no harm. Ties go by hash.

    Cost: N·K·D per step of k-means, and Σ n²·D over the clusters used of n frames.

    Args:
        max_clusters: K at most, 500 in the paper; beyond that clusters are used again.
        neighbours: of the typicality.
        minimum_size: frames of a cluster that is not small.

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.0], [53.0], [54.0]])
    >>> candidates = Candidates(np.arange(7, dtype=np.uint64), features=x)
    >>> sorted(TypiClust(minimum_size=1)(candidates, 2, np.random.default_rng(0)).tolist())
    [1, 4]
    """

    needs = frozenset({"features"})
    because: ClassVar[str] = "typical of its part of the pool"

    def __init__(self, max_clusters: int = 500, neighbours: int = 20, minimum_size: int = 5) -> None:
        sizes = {"max_clusters": max_clusters, "neighbours": neighbours, "minimum_size": minimum_size}
        refuse(f"{name} of TypiClust must be 1 or more, not {value}" for name, value in sizes.items() if value < 1)
        self.max_clusters = max_clusters
        self.neighbours = neighbours
        self.minimum_size = minimum_size

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the most typical allowed frame of the next cluster."""
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        by_hash = np.argsort(candidates.tie_break, kind="stable")  # [N]
        x = candidates.features.detach().cpu().index_select(0, torch.from_numpy(by_hash))  # [N, D] by place
        labelled = candidates.labelled_features
        seen = x[:0] if labelled is None else labelled.detach().cpu().to(x.dtype)  # [M, D]
        clusters = min(len(seen) + budget, self.max_clusters)
        labels = k_means(torch.cat([x, seen]), clusters, int(generator.integers(2**31)))  # [N + M]
        used = np.bincount(labels[len(x) :], minlength=clusters)  # [K]
        own = labels[: len(x)]  # [N]
        size = np.bincount(own, minlength=clusters)  # [K]
        _, first = np.unique(own, return_index=True)
        first_place = np.full(clusters, len(x))
        first_place[own[first]] = first  # [K], decides between equals
        while True:
            allowed = constraint.allowed()[by_hash]  # [N]
            open_ = np.flatnonzero(np.bincount(own[allowed], minlength=clusters))
            small = size[open_] < self.minimum_size
            cluster = open_[np.lexsort((first_place[open_], -size[open_], used[open_], small))[0]]
            members = np.flatnonzero((own == cluster) & constraint.free[by_hash])
            spread = _spread(x.index_select(0, torch.from_numpy(members)), self.neighbours)  # [members]
            spread[~allowed[members]] = np.inf
            used[cluster] += 1
            yield int(by_hash[members[np.argmin(spread)]])


def _spread(x: torch.Tensor, neighbours: int) -> npt.NDArray[np.float64]:
    """Mean distance of each row to its nearest others, ``[n, D]`` to ``[n]``; 0 for a single row."""
    if len(x) == 1:
        return np.zeros(1)
    index = nearest(x, x, neighbours, exclude=torch.arange(len(x)))  # [n, k]
    return distances(x, x, index).mean(dim=1).numpy()
