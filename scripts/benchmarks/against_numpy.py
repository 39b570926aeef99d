"""Methods that are published as loops over NumPy arrays: TorchAL's core-set, fast-map-dpp, CAL, ranks by two sorts."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks

PEER = "numpy"


def their_k_center(arrays: Arrays) -> list[int]:
    """Distances to the labelled frames at once, then to one pick after the other."""
    x, labelled = arrays.single, arrays.labelled.astype(np.float32)
    sq = (x * x).sum(axis=1)  # [N]
    nearest = (sq[:, None] - 2 * x @ labelled.T + (labelled * labelled).sum(axis=1)).min(axis=1)  # [N]
    picks = []
    for _ in range(arrays.budget):
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, sq - 2 * x @ x[picks[-1]] + sq[picks[-1]])
    return picks


def their_map(arrays: Arrays) -> list[int]:
    """Chen, Zhang and Zhou, NeurIPS 2018: the whole kernel, then a row of its Cholesky factor for each pick."""
    x = arrays.single / np.linalg.norm(arrays.single, axis=1, keepdims=True)
    kernel = x @ x.T  # [N, N]
    kernel[np.diag_indices(len(x))] += ours.RIDGE
    left = kernel.diagonal().copy()  # [N]
    rows = np.zeros((arrays.budget, len(x)), dtype=np.float32)
    picks = [0]
    for k in range(arrays.budget - 1):
        i = picks[-1]
        rows[k] = (kernel[i] - rows[:k, i] @ rows[:k]) / np.sqrt(left[i])
        left -= np.square(rows[k])
        left[i] = -np.inf
        picks.append(int(left.argmax()))
    return picks


def their_map_in_double(arrays: Arrays) -> list[int]:
    """The same in float64, with the rows of the kernel made when they are asked for."""
    x = arrays.single.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    left = np.full(len(x), 1 + ours.RIDGE)  # [N]
    rows = np.zeros((arrays.budget, len(x)))
    picks = [0]
    for k in range(arrays.budget - 1):
        i = picks[-1]
        rows[k] = (x @ x[i] - rows[:k, i] @ rows[:k]) / np.sqrt(left[i])
        left -= np.square(rows[k])
        left[i] = -np.inf
        picks.append(int(left.argmax()))
    return picks


def differing_from_double(arrays: Arrays, ours: Any, _: Any) -> float:
    """Places that hold another frame than in float64, in which theirs is asked again: many frames gain nearly as much,
    and from the first that rounding decides on, all are others."""
    return differing_picks(arrays, ours, their_map_in_double(arrays))


def their_contrastive(arrays: Arrays) -> np.ndarray:
    """Mean KL(p_neighbour ‖ p) to the ten nearest labelled frames by cosine."""
    x, labelled = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (arrays.features, arrays.labelled))
    near = np.argpartition(-(x @ labelled.T), 10, axis=1)[:, :10]  # [N, 10]
    known, probs = (np.maximum(p, ours.LEAST) for p in (arrays.labelled_probs, arrays.probs))
    known, probs = known / known.sum(axis=1, keepdims=True), probs / probs.sum(axis=1, keepdims=True)
    own = (known * np.log(known)).sum(axis=1)[near].mean(axis=1)  # [N]
    return own - (known[near].mean(axis=1) * np.log(probs)).sum(axis=1)


def their_reciprocal_rank(arrays: Arrays) -> np.ndarray:
    ranks = (-arrays.scores).argsort(axis=0).argsort(axis=0) + 1  # [N, T]
    return np.argsort(-(1 / (60 + ranks)).sum(axis=1), kind="stable")[: arrays.budget]


COMPARISONS = (
    Comparison("CAL", PEER, "argpartition of cosines", their_contrastive, ours.contrastive),
    Comparison(
        "k-centre, labelled, float32",
        PEER,
        "TorchAL's loop",
        their_k_center,
        ours.k_center_single,
        "picks",
        differing_picks,
    ),
    Comparison(
        "k-DPP, MAP, float32",
        PEER,
        "fast-map-dpp's loop",
        their_map,
        ours.map_picks,
        "picks of the same loop in float64",
        differing_from_double,
    ),
    Comparison(
        "k-DPP, MAP, float64",
        PEER,
        "fast-map-dpp's loop, kernel row by row",
        their_map_in_double,
        ours.map_picks,
        "picks",
        differing_picks,
    ),
    Comparison(
        "reciprocal rank and top-k",
        PEER,
        "argsort of argsort",
        their_reciprocal_rank,
        ours.reciprocal_rank_picks,
        "picks",
        differing_picks,
    ),
)
FAULTS: tuple[Fault, ...] = ()
