"""Every method that a published library has too, called on plain arrays."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition import (
    Badge,
    Candidates,
    Entropy,
    ExpectedGradientLength,
    JointGradientEmbedding,
    KCenterGreedy,
    LeastConfidence,
    Margin,
    TopK,
    gradient_block,
)
from mtal.acquisition.signals.bald import Bald
from mtal.acquisition.signals.contrastive import Contrastive
from mtal.acquisition.signals.discriminative import Discriminative
from mtal.acquisition.signals.epig import Epig
from mtal.acquisition.signals.pool_view import PoolView

if TYPE_CHECKING:
    from benchmarks.peers import Arrays


def least_confidence(arrays: Arrays) -> Tensor:
    """1 − max p."""
    C = arrays.classes
    return LeastConfidence()(arrays.head) * ((C - 1) / C)


def confidence(arrays: Arrays) -> Tensor:
    """Max p."""
    return 1 - least_confidence(arrays)


def margin(arrays: Arrays) -> Tensor:
    """1 − (p₁ − p₂)."""
    return Margin()(arrays.head)


def lead(arrays: Arrays) -> Tensor:
    """p₁ − p₂."""
    return 1 - margin(arrays)


def entropy(arrays: Arrays) -> Tensor:
    """H(p) in nats."""
    return Entropy()(arrays.head) * log(arrays.classes)


def negative_entropy(arrays: Arrays) -> Tensor:
    """−H(p) in nats."""
    return Entropy()(arrays.head) * -log(arrays.classes)


def bald(arrays: Arrays) -> Tensor:
    """Mutual information in nats."""
    return Bald()(arrays.head_of_members) * log(arrays.classes)


def bald_picks(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, utility=Bald()(arrays.head_of_members))
    return TopK()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def epig(arrays: Arrays, targets: int) -> Tensor:
    """Expected predictive information gain in nats."""
    view = PoolView(members=arrays.head_of_members, seed=arrays.seed)
    return Epig(targets)(view) * log(arrays.classes)


def expected_gradient_length(arrays: Arrays) -> Tensor:
    return ExpectedGradientLength()(arrays.head_with_features)


def contrastive(arrays: Arrays) -> Tensor:
    view = PoolView(**features(arrays), posterior=arrays.head, labelled_posterior=arrays.labelled_head)
    return Contrastive(k=10, eps=1e-7)(view)


def discriminative(arrays: Arrays) -> Tensor:
    return Discriminative()(PoolView(**features(arrays)))


def k_center(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, **features(arrays))
    return KCenterGreedy()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def badge(arrays: Arrays, generator: Any) -> Tensor:
    gradient = JointGradientEmbedding({"phase": gradient_block(arrays.head_with_features)})
    return Badge()(Candidates(arrays.hashes, gradient=gradient), arrays.budget, generator)


def features(arrays: Arrays) -> dict[str, Tensor]:
    return {"features": torch.from_numpy(arrays.features), "labelled_features": torch.from_numpy(arrays.labelled)}
