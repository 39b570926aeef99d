"""submodlib: facility location in C++."""

from __future__ import annotations

from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, gain_lost
from sklearn.metrics import euclidean_distances
from submodlib import FacilityLocationFunction

PEER = "submodlib-py"


def their_facility_location(arrays: Arrays) -> list[int]:
    distances = euclidean_distances(arrays.single)
    similarity = distances.max() - distances  # [N, N]
    function = FacilityLocationFunction(n=arrays.frames, mode="dense", sijs=similarity, separate_rep=False)
    picks = function.maximize(budget=arrays.budget, optimizer="LazyGreedy", show_progress=False)
    return [pick for pick, _ in picks]


COMPARISONS = (
    Comparison(
        "facility location, float32",
        PEER,
        "FacilityLocationFunction(LazyGreedy)",
        their_facility_location,
        ours.facility_location_single,
        "mean distance to the picks",
        gain_lost,
        tolerance=1e-3,
        bearable=lambda arrays: arrays.frames <= 2000,
    ),
)
FAULTS: tuple[Fault, ...] = ()
