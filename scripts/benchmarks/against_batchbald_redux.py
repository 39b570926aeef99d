"""batchbald_redux: the reference code of BatchBALD, on tensors ``[N, K, C]`` of log probabilities."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from batchbald_redux.batchbald import compute_conditional_entropy, compute_entropy, get_batchbald_batch
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks

PEER = "batchbald-redux"


@contextmanager
def little_garbage() -> Iterator[None]:
    """It collects garbage at every step, which would take most of its time where as much is loaded as here."""
    gc.freeze()
    yield
    gc.unfreeze()


def their_bald(log_probs: torch.Tensor) -> torch.Tensor:
    with little_garbage():
        return compute_entropy(log_probs) - compute_conditional_entropy(log_probs)


def their_batch_bald(log_probs: torch.Tensor) -> list[int]:
    with little_garbage():
        return get_batchbald_batch(log_probs, 5, 10_000, dtype=torch.float64).indices


def log_members(arrays: Arrays) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(arrays.members.transpose(1, 0, 2))).log()  # [N, K, C]


COMPARISONS = (
    Comparison(
        "BALD",
        PEER,
        "compute_entropy − compute_conditional_entropy",
        their_bald,
        ours.bald,
        in_their_units=ours.in_nats,
        prepare=log_members,
    ),
    Comparison(
        "BatchBALD, 5 picks enumerated",
        PEER,
        "get_batchbald_batch(num_samples=10_000)",
        their_batch_bald,
        lambda arrays: ours.batch_bald(arrays, 5, 10_000),
        "picks",
        differing_picks,
        prepare=log_members,
    ),
)
FAULTS: tuple[Fault, ...] = ()
