"""fpsample: farthest points in C++, which is k-centre with nothing labelled."""

from __future__ import annotations

from typing import Any

import fpsample
import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault
from scipy.spatial.distance import pdist, squareform

PEER = "fpsample"


def their_k_center(arrays: Arrays) -> np.ndarray:
    """From the frame nearest the mean, where ours opens."""
    x = arrays.single
    start = int(np.square(x - x.mean(axis=0)).sum(axis=1).argmin())
    return fpsample.fps_sampling(x, arrays.budget, start_idx=start)


def nearness(arrays: Arrays, ours: Any, theirs: Any) -> float:
    """How much nearer than theirs one of our picks is to those before it, as a part; of two as far either may come."""
    mine, others = (reach(arrays.single[np.asarray(picks)]) for picks in (ours, theirs))
    return float(np.max(1 - mine / others).clip(min=0))


def reach(x: np.ndarray) -> np.ndarray:
    """Distance of each row but the first to the nearest before it."""
    between = squareform(pdist(x.astype(np.float64)))
    return np.array([between[k, :k].min() for k in range(1, len(x))])


COMPARISONS = (
    Comparison(
        "k-centre, none labelled, float32",
        PEER,
        "fps_sampling",
        their_k_center,
        ours.k_center_of_the_pool,
        "distance of each pick to those before it",
        nearness,
        tolerance=1e-6,  # float32 of the peer
    ),
)
FAULTS: tuple[Fault, ...] = ()
