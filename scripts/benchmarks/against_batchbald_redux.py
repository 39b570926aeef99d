"""batchbald_redux: the reference code of BatchBALD, on tensors ``[N, K, C]`` of log probabilities."""

from __future__ import annotations

import numpy as np
import torch
from batchbald_redux.batchbald import compute_conditional_entropy, compute_entropy
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault

PEER = "batchbald-redux"


def log_members(arrays: Arrays) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(arrays.members.transpose(1, 0, 2))).log()  # [N, K, C]


COMPARISONS = (
    Comparison(
        "BALD",
        PEER,
        "compute_entropy − compute_conditional_entropy",
        lambda log_probs: compute_entropy(log_probs) - compute_conditional_entropy(log_probs),
        ours.bald,
        prepare=log_members,
        repeats=3,
    ),
)
FAULTS: tuple[Fault, ...] = ()
