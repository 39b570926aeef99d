"""baal: Bayesian heuristics on NumPy arrays ``[N, C, K]``."""

from __future__ import annotations

import numpy as np
import torch
from baal.active.heuristics import BALD, EPIG, BatchBALD, Certainty, Entropy, Margin, Variance
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault

from mtal.acquisition.draw import draw

PEER = "baal"
TARGETS = 100


def by_member_last(arrays: Arrays) -> np.ndarray:
    return np.ascontiguousarray(arrays.members.transpose(1, 2, 0))  # [N, C, K]


def with_targets(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """The pool and the frames of it that ours draws as targets."""
    members = by_member_last(arrays)  # [N, C, K]
    chosen = draw(torch.from_numpy(arrays.members).transpose(0, 1).flatten(1), TARGETS, arrays.seed)  # [T]
    return members, members[chosen.numpy()]


def batch_bald_ranks_in_reverse() -> bool:
    """Of five frames on which four members disagree ever less, two are asked for; three come, the best one last."""
    sure = np.linspace(0.99, 0.7, 5)  # [N]
    says = np.stack([sure, 1 - sure, sure, 1 - sure], axis=1)  # [N, K]
    ranks, scores = BatchBALD(2, num_draw=50).get_ranks(np.stack([says, 1 - says], axis=1))
    return int((scores > 0).sum()) == 3 and ranks.tolist().index(0) == 2


COMPARISONS = (
    Comparison(
        "least confidence",
        PEER,
        "Certainty",
        Certainty().get_uncertainties,
        ours.least_confidence,
        in_their_units=ours.likeliest,
        prepare=lambda arrays: arrays.probs,
        repeats=99,
    ),
    Comparison(
        "margin",
        PEER,
        "Margin",
        Margin().get_uncertainties,
        ours.margin,
        in_their_units=ours.lead,
        prepare=lambda arrays: arrays.probs,
        repeats=99,
    ),
    Comparison(
        "entropy",
        PEER,
        "Entropy",
        Entropy().get_uncertainties,
        ours.entropy,
        in_their_units=ours.in_nats,
        prepare=lambda arrays: arrays.probs,
        repeats=99,
    ),
    Comparison(
        "BALD",
        PEER,
        "BALD",
        BALD().get_uncertainties,
        ours.bald,
        in_their_units=ours.in_nats,
        prepare=by_member_last,
    ),
    Comparison(
        "variance",
        PEER,
        "Variance",
        Variance().get_uncertainties,
        ours.variance,
        in_their_units=ours.mean_over_classes,
        prepare=by_member_last,
    ),
    Comparison(
        "EPIG",
        PEER,
        "EPIG",
        lambda pool_and_targets: EPIG().get_uncertainties(*pool_and_targets),
        lambda arrays: ours.epig(arrays, TARGETS),
        in_their_units=ours.in_nats,
        tolerance=1e-5,  # theirs is in float32
        prepare=with_targets,
    ),
)
FAULTS = (
    Fault(
        "BatchBALD",
        PEER,
        "BatchBALD",
        "one pick too many, ranked from the last to the first: the budget cuts off the best",
        batch_bald_ranks_in_reverse,
    ),
)
