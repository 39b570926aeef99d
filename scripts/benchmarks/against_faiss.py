"""faiss: k-means, on which TypiClust stands."""

from __future__ import annotations

import faiss
import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault

PEER = "faiss-cpu"


def their_clusters(arrays: Arrays) -> np.ndarray:
    model = faiss.Kmeans(arrays.width, arrays.budget, niter=25, seed=arrays.seed, max_points_per_centroid=10**9)
    model.train(arrays.single)
    return model.index.search(arrays.single, 1)[1][:, 0]


def inertia_lost(arrays: Arrays, ours: np.ndarray, theirs: np.ndarray) -> float:
    """How much larger the sum of squared distances to the means of our clusters is, as a part."""
    mine, others = (inertia(arrays.features, labels) for labels in (ours, theirs))
    return max(0.0, mine / others - 1)


def inertia(x: np.ndarray, labels: np.ndarray) -> float:
    return sum(float(np.square(x[labels == k] - x[labels == k].mean(axis=0)).sum()) for k in np.unique(labels))


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
