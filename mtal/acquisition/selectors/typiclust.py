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

_MOST = 4096  # frames of a cluster that are compared with each other


class TypiClust(Selector):
    """argmaxᵢ 1 / (mean distance to the nearest 20 of its cluster), in the largest cluster without a labelled frame.

    Hacohen, Dekel and Weinshall, ICML 2022. k-means makes as many clusters as there are labelled frames and picks to
    come. Each pick comes from the cluster with the fewest labelled and picked frames, the larger first; clusters of
    fewer than ``minimum_size`` frames wait until the others are used up. Typicality is measured among the frames of the
    cluster that are neither labelled nor picked; mean distances are compared, not divided by, so a cluster of
    duplicates does no harm. Ties go by hash. Of a cluster of more than 4,096 frames those of the smallest hashes stand
    for it: of 100,000 frames in 20 clusters, picks are 0.3 % (independent Gaussians) to 1.9 % (random walks) farther
    from their neighbours than the exact ones.

    Cost: N·K·D to join the clusters, and n²·D for each pick from a cluster of n frames, n 4,096 at most.

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
        features, labelled = candidates.features.detach().cpu(), candidates.labelled_features
        seen = features[:0] if labelled is None else labelled.detach().cpu()  # [M, D]
        N, D = features.shape
        everything = features.new_empty(N + len(seen), D)  # a copy of the pool, and no second one
        x = torch.index_select(features, 0, torch.from_numpy(by_hash), out=everything[:N])  # [N, D] by place
        everything[N:] = seen
        clusters = min(len(seen) + budget, self.max_clusters)
        labels = k_means(everything, clusters, int(generator.integers(2**31)))  # [N + M]
        used = np.bincount(labels[len(x) :], minlength=clusters)  # [K]
        size = np.bincount(labels[: len(x)], minlength=clusters)  # [K]
        in_cluster = np.split(np.argsort(labels[: len(x)], kind="stable"), size.cumsum()[:-1])  # K times places
        first_place = np.array([places[0] if len(places) else len(x) for places in in_cluster])  # [K]
        own = np.empty_like(labels[: len(x)])  # [N] by row
        own[by_hash] = labels[: len(x)]
        while True:
            allowed = constraint.allowed()  # [N]
            open_ = np.flatnonzero(np.bincount(own[allowed], minlength=clusters))
            small = size[open_] < self.minimum_size
            # the first place decides between equals
            cluster = open_[np.lexsort((first_place[open_], -size[open_], used[open_], small))[0]]
            places = in_cluster[cluster]
            rows = by_hash[places]
            among, open_places = (places[may[rows]][:_MOST] for may in (constraint.free, allowed))
            used[cluster] += 1
            yield int(by_hash[open_places[np.argmin(_spread(x, open_places, among, self.neighbours))]])


def _spread(
    x: torch.Tensor, of: npt.NDArray[np.intp], among: npt.NDArray[np.intp], neighbours: int
) -> npt.NDArray[np.float64]:
    """Mean distance of some rows of ``[N, D]`` to the nearest others among some, ``[of]``; 0 where there are none.

    Places are in ascending order.
    """
    at = np.searchsorted(among, of).clip(max=len(among) - 1)
    itself = torch.from_numpy(np.where(among[at] == of, at, -1))  # [of]
    queries, references = (x.index_select(0, torch.from_numpy(places)) for places in (of, among))
    index = nearest(queries, references, neighbours, exclude=itself)  # [of, k]
    return distances(queries, references, index).mean(dim=1).numpy() if index.shape[1] else np.zeros(len(of))
