"""How much a frame's utility counts beside its place among the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, require


def boost(candidates: Candidates, gamma: float, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """uᵢ^γ, ``[N]`` in [0, 1], u mapped to [0, 1] over the frames that may be picked; 1 where all are equal or γ is 0.

    Args:
        candidates: with their utility where γ is above 0.
        gamma: 0 or more.
        free: ``[N]`` bool, the frames that may be picked; the others do not set the range, and get 0 unless all get 1.

    >>> import torch
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), utility=torch.tensor([2.0, 4.0, 3.0]))
    >>> boost(candidates, 2.0, np.array([True, True, True])).tolist()
    [0.0, 1.0, 0.25]
    """
    if gamma == 0:
        return np.ones(len(candidates))
    utility = require(candidates.utility, "utility")  # [N]
    low, high = utility[free].min(), utility[free].max()
    if high == low:
        return np.ones(len(candidates))
    return np.where(free, ((np.where(free, utility, low) - low) / (high - low)) ** gamma, 0.0)


def wrong_gamma(gamma: float, method: str) -> Iterator[str]:
    """What is wrong with it: it is negative or not finite."""
    if not 0 <= gamma < float("inf"):
        yield f"gamma of {method} must be 0 or more, not {gamma}"
