"""fpsample: farthest points in C++, which is k-centre with nothing labelled."""

from __future__ import annotations

import fpsample
import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks

PEER = "fpsample"


def their_k_center(arrays: Arrays) -> np.ndarray:
    """From the frame nearest the mean, where ours opens."""
    x = arrays.single
    start = int(np.square(x - x.mean(axis=0)).sum(axis=1).argmin())
    return fpsample.fps_sampling(x, arrays.budget, start_idx=start)


COMPARISONS = (
    Comparison(
        "k-centre, none labelled, float32",
        PEER,
        "fps_sampling",
        their_k_center,
        ours.k_center_of_the_pool,
        "picks",
        differing_picks,
    ),
)
FAULTS: tuple[Fault, ...] = ()
