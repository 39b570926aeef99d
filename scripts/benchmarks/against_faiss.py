"""faiss: k-means, on which TypiClust stands."""

from __future__ import annotations

import faiss
import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, inertia_lost

PEER = "faiss-cpu"


def their_clusters(arrays: Arrays) -> np.ndarray:
    model = faiss.Kmeans(arrays.width, arrays.budget, niter=25, seed=arrays.seed, max_points_per_centroid=10**9)
    model.train(arrays.single)
    return model.index.search(arrays.single, 1)[1][:, 0]


COMPARISONS = (
    Comparison(
        "k-means, float32",
        PEER,
        "Kmeans(niter=25)",
        their_clusters,
        ours.clusters,
        "inertia",
        inertia_lost,
        tolerance=0.05,
    ),
)
FAULTS: tuple[Fault, ...] = ()
