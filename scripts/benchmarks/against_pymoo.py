"""pymoo: non-dominated sorting as NSGA-II has it."""

from __future__ import annotations

import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

PEER = "pymoo"


def their_fronts(arrays: Arrays) -> np.ndarray:
    return NonDominatedSorting().do(-arrays.scores, return_rank=True)[1]


COMPARISONS = (Comparison("Pareto ranks", PEER, "NonDominatedSorting", their_fronts, ours.fronts, "fronts"),)
FAULTS: tuple[Fault, ...] = ()
