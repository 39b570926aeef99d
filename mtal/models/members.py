"""Members: sub-networks of one model under fixed dropout masks. Letter: K members."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def dropout_masks(p: float, K: int, width: int, seed: int, place: str) -> Tensor:
    """K fixed masks ``[K, width]`` with entries 0 (probability p) and 1/(1 − p), as dropout in training has them.

    The seed and the name of the place alone decide, on any device and whatever else is drawn.

    >>> dropout_masks(0.5, 2, 4, seed=0, place="decoder")
    tensor([[2., 2., 0., 0.],
            [2., 0., 0., 2.]])
    """
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(place.encode())))
    kept = torch.from_numpy(generator.random((K, width)) >= p)
    return kept.float() / (1 - p) if p < 1 else torch.zeros(K, width)
