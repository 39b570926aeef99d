"""moocore: Pareto ranks and hypervolumes in C, which our rules stand on; here it is asked for everything at once."""

from __future__ import annotations

import moocore
import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks

PEER = "moocore"


def their_hypervolume_order(arrays: Arrays) -> list[int]:
    """At each place every frame is tried."""
    picks: list[int] = []
    while len(picks) < arrays.budget:
        volumes = [
            moocore.hypervolume(arrays.scores[[*picks, i]], ref=0, maximise=True) for i in range(len(arrays.scores))
        ]
        picks.append(int(np.argmax(volumes)))
    return picks


def differing_fronts(_: Arrays, ours: np.ndarray, theirs: np.ndarray) -> float:
    """How many of the frames that ours places are in another front."""
    return float((ours != theirs)[ours >= 0].sum())


COMPARISONS = (
    Comparison(
        "Pareto fronts of the first frames",
        PEER,
        "pareto_rank",
        lambda scores: moocore.pareto_rank(scores, maximise=True),
        ours.fronts,
        "fronts",
        differing_fronts,
        prepare=lambda arrays: arrays.scores,
    ),
    Comparison(
        "greedy hypervolume",
        PEER,
        "hypervolume of every frame for every place",
        their_hypervolume_order,
        ours.hypervolume_order,
        "picks",
        differing_picks,
        repeats=1,
    ),
)
FAULTS: tuple[Fault, ...] = ()
