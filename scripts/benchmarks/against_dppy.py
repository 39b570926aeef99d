"""dppy: determinantal processes, sampled by the eigenvectors of the D x D matrix as ours are."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, volume_lost
from dppy.finite_dpps import FiniteDPP

PEER = "dppy"


def their_sample(arrays: Arrays) -> list[int]:
    with redirect_stdout(StringIO()):  # it tells what it does
        process = FiniteDPP("likelihood", L_gram_factor=arrays.unit.T)
        return process.sample_exact_k_dpp(size=arrays.budget, random_state=arrays.seed)


COMPARISONS = (
    Comparison(
        "k-DPP, sampled",
        PEER,
        "FiniteDPP.sample_exact_k_dpp",
        their_sample,
        ours.sampled,
        "log det per pick, where ours has less",
        volume_lost,
        tolerance=0.5,  # of chance: two draws
        # of more picks from more frames its chances no longer sum to 1, at which it stops
        bearable=lambda arrays: arrays.budget <= arrays.width and arrays.frames * arrays.budget <= 10**6,
    ),
)
FAULTS: tuple[Fault, ...] = ()
