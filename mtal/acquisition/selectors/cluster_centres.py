"""One frame for each part of the pool: the middle of its cluster."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.clusters import k_means
from mtal.acquisition.selectors.constraints import Bools, Constraint
from mtal.acquisition.selectors.tie_break import Ranking

Floats = npt.NDArray[np.float64]


class ClusterCentres(Selector):
    """argminᵢ ‖xᵢ − cₖ‖ in each cluster k of a k-means with as many clusters as frames are to be picked.

    Zhdanov, arXiv 1901.05954: of a batch of b the ``shortlist``·b frames of largest utility are clustered. Gupte,
    Aklilu, Nirschl and Yeung-Levy (DropQuery, TMLR 2024) choose the frames by whether dropout changes what is
    predicted: see ``strategy=drop_query``. With no shortlist all frames that may be picked are clustered, which is
    k-means on features and nothing else.

    The larger clusters go first. A cluster whose frames a rule forbids is passed over for one with more picks, and once
    no frame of the shortlist is allowed those outside follow by utility, or by hash. Ties by hash.

    Cost: k-means of the frames clustered, N·b·D per step.

    Args:
        shortlist: frames clustered for each frame to pick, 1 or more; ``None`` for the whole pool.

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [50.0], [52.0], [53.0], [54.0]])
    >>> candidates = Candidates(np.arange(7, dtype=np.uint64), features=x)
    >>> ClusterCentres()(candidates, 2, np.random.default_rng(0)).tolist()
    [4, 1]
    """

    because: ClassVar[str] = "in the middle of frames like it"

    def __init__(self, shortlist: float | None = None) -> None:
        if shortlist is not None and not 1 <= shortlist < float("inf"):
            raise ValueError(
                f"shortlist of cluster_centres must be 1 or more frames for each pick, or null for all, not {shortlist}"
            )
        self.shortlist = shortlist
        self.needs = frozenset({"features"} if shortlist is None else {"features", "utility"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame that is nearest to the centre of the next cluster."""
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        utility = np.zeros(len(candidates)) if self.shortlist is None else require(candidates.utility, "utility")  # [N]
        ranking = Ranking(np.where(constraint.free, utility, -np.inf), candidates.tie_break)
        listed = self._listed(utility, candidates.tie_break, budget, constraint.free)  # [L] by hash
        x = candidates.features.detach().cpu().index_select(0, torch.from_numpy(listed)).double()  # [L, D]
        own = k_means(x, budget, int(generator.integers(2**31)))  # [L]
        off = _from_centre(x.numpy(), own)  # [L]
        size = np.bincount(own)  # [K]
        used = np.zeros_like(size)
        while True:
            allowed = constraint.allowed()
            here = np.flatnonzero(allowed[listed])  # places on the list
            if not len(here):
                yield ranking.first(allowed)
                continue
            open_ = np.unique(own[here])
            cluster = open_[np.lexsort((-size[open_], used[open_]))[0]]
            members = here[own[here] == cluster]
            used[cluster] += 1
            yield int(listed[members[np.argmin(off[members])]])

    def _listed(
        self, utility: Floats, hashes: npt.NDArray[np.uint64], budget: int, free: Bools
    ) -> npt.NDArray[np.intp]:
        """Positions of the frames to cluster, by hash so that their order says nothing."""
        places = np.flatnonzero(free)
        if self.shortlist is not None:
            best = np.lexsort((hashes[places], -utility[places]))
            places = places[best[: math.ceil(self.shortlist * budget)]]
        return places[np.argsort(hashes[places], kind="stable")]


def _from_centre(x: Floats, own: npt.NDArray[np.int64]) -> Floats:
    """Distance of each row to the mean of its cluster, ``[L, D]`` and ``[L]`` to ``[L]``."""
    off = np.empty(len(x))
    for cluster in np.unique(own):
        members = own == cluster
        off[members] = np.linalg.norm(x[members] - x[members].mean(axis=0), axis=1)
    return off
