"""Which heads of a picked frame annotators are asked for.

Letters: N frames, T heads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["AllHeads", "Query", "WorthItsCost"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Query(ABC):
    """Chooses heads of frames.

    Attributes:
        asks_all: it asks for all that can be asked for, and so needs neither gains nor seconds.
    """

    asks_all: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, gains: Floats, seconds: Floats, askable: Bools, look_s: float) -> Bools:
        """Which heads to ask for in each frame, ``[N, T]``: among those that can be, and one or more of these.

        Args:
            gains: expected of an answer, 0 or more, ``[N, T]``.
            seconds: that the answer takes, ``[N, T]``.
            askable: which heads can be asked for, ``[N, T]``.
            look_s: seconds that a frame takes besides.
        """


@dataclass(frozen=True)
class AllHeads(Query):
    """All heads that can be asked for: each picked frame teaches all of them.

    Cost: O(1).
    """

    asks_all: ClassVar[bool] = True

    def __call__(self, gains: Floats, seconds: Floats, askable: Bools, look_s: float) -> Bools:
        """See :class:`Query`."""
        return askable


@dataclass(frozen=True)
class WorthItsCost(Query):
    """argmax over S ≠ ∅ of Σ_{t∈S} gₜ / (look_s + Σ_{t∈S} cₜ): the heads with the most expected gain per second.

    gₜ is the head's normalised score times its say, cₜ what its answer is expected to take. The best set holds the
    heads of the highest gₜ/cₜ, as many as it takes, so T sets are compared and not 2ᵀ. Without ``look_s``, the time to
    open a frame and look at it, one head alone is always best, and heads join it only where they are as good.

    That asking for some heads only can be better value is PartAL's (Durasov et al., arXiv 2022, 2211.11546); the rule
    is ours.

    Cost: O(N T log T).

    >>> gains, seconds = np.array([[0.9, 0.8]]), np.array([[3.0, 60.0]])
    >>> WorthItsCost()(gains, seconds, np.array([[True, True]]), look_s=2.0).tolist()
    [[True, False]]
    >>> WorthItsCost()(gains, seconds, np.array([[True, True]]), look_s=200.0).tolist()
    [[True, True]]
    """

    def __call__(self, gains: Floats, seconds: Floats, askable: Bools, look_s: float) -> Bools:
        """See :class:`Query`; among equals the larger set.

        Raises:
            ValueError: a gain or a time is negative or not finite.
        """
        for name, values in (("gains", gains), ("seconds", seconds), ("look_s", np.array([look_s]))):
            if not (np.isfinite(values).all() and (values >= 0).all()):
                raise ValueError(f"{name} must be finite and 0 or more")
        gain, cost = np.where(askable, gains, 0.0), np.where(askable, seconds, 0.0)  # [N, T]
        alone = _per_second(gain, cost)
        order = np.argsort(np.where(askable, -alone, np.inf), axis=1, kind="stable")  # [N, T], those not askable last
        so_far = [np.cumsum(np.take_along_axis(x, order, axis=1), axis=1) for x in (gain, cost)]
        worth = _per_second(so_far[0], look_s + so_far[1])  # [N, T] of the first 1, 2, … heads
        size = np.arange(1, gains.shape[1] + 1)
        worth = np.where(size <= askable.sum(axis=1, keepdims=True), worth, -1.0)
        best = worth.max(axis=1, keepdims=True, initial=-1.0)
        kept = np.where(worth >= best * (1 - 1e-12), size, 0).max(axis=1, keepdims=True)  # [N, 1]
        asked = np.zeros_like(askable)
        np.put_along_axis(asked, order, size <= kept, axis=1)
        return asked & askable


def _per_second(gain: Floats, seconds: Floats) -> Floats:
    """What takes no time is worth the most, and no gain nothing."""
    return np.divide(gain, seconds, out=np.where(gain > 0, np.finfo(np.float64).max, 0.0), where=seconds > 0)
