"""moocore: hypervolumes in C, which our rule stands on too; here it is asked about every frame for every place."""

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


COMPARISONS = (
    Comparison(
        "greedy hypervolume",
        PEER,
        "hypervolume of every frame for every place",
        their_hypervolume_order,
        ours.hypervolume_order,
        "picks",
        differing_picks,
        bearable=lambda arrays: arrays.budget <= 50,
    ),
)
FAULTS: tuple[Fault, ...] = ()
