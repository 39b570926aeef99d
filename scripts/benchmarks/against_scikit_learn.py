"""scikit-learn: k-means, whose k-means++ is BADGE once the gradients are written out."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks, inertia_lost
from sklearn.cluster import KMeans, kmeans_plusplus

from mtal.acquisition.selectors import badge


class FirstGiven(np.random.RandomState):
    """Uniform draws of a seed, but the first centre, which scikit-learn chooses uniformly, is given."""

    def __init__(self, seed: int, first: int) -> None:
        super().__init__(seed)
        self.first = first

    def choice(self, *_: object, **__: object) -> int:  # type: ignore[override]
        return self.first


class UniformDraws:
    """Stands in for a NumPy generator, with the draws of the older RandomState that the peers use."""

    def __init__(self, state: np.random.RandomState) -> None:
        self.state = state

    def random(self, size: int | None = None) -> object:
        return self.state.random_sample(size)


def gradients(arrays: Arrays) -> np.ndarray:
    """(p − e_argmax) ⊗ h written out, ``[N, C·D]``."""
    likeliest = arrays.probs.argmax(axis=1)
    residual = arrays.probs - np.eye(arrays.classes)[likeliest]  # [N, C]
    return (residual[:, :, None] * arrays.features[:, None, :]).reshape(arrays.frames, -1)


def their_badge(arrays: Arrays) -> np.ndarray:
    whole = gradients(arrays)  # [N, C·D]
    sq_norm = np.einsum("ij,ij->i", whole, whole)  # [N]
    state = FirstGiven(arrays.seed, int(sq_norm.argmax()))
    _, picks = kmeans_plusplus(whole, arrays.budget, x_squared_norms=sq_norm, random_state=state, n_local_trials=1)
    return picks


def our_badge(arrays: Arrays) -> torch.Tensor:
    return ours.badge(arrays, UniformDraws(np.random.RandomState(arrays.seed)))


def differing_draws(arrays: Arrays, _: Any, theirs: Any) -> float:
    """Places that hold another frame where ours measures every distance for every draw, as it does in small pools.

    In large ones it accepts or rejects what it draws by bounds, which takes more numbers for the same distribution.
    """
    with patch.object(badge, "_SMALL", float("inf")):
        return differing_picks(arrays, our_badge(arrays), theirs)


COMPARISONS = (
    Comparison(
        "BADGE",
        "scikit-learn",
        "kmeans_plusplus on the written-out gradients",
        their_badge,
        our_badge,
        "picks, by the same uniform draws and all distances",
        differing_draws,
        bearable=lambda arrays: arrays.frames * arrays.width * arrays.budget <= 10**9,  # else gigabytes and minutes
    ),
    Comparison(
        "k-means, float32",
        "scikit-learn",
        "KMeans(n_init=1)",
        lambda arrays: KMeans(arrays.budget, n_init=1, random_state=arrays.seed).fit_predict(arrays.single),
        ours.clusters,
        "inertia",
        inertia_lost,
        tolerance=0.05,
    ),
)
FAULTS: tuple[Fault, ...] = ()
