"""Labels that the picked frames can have, and what a further frame would tell about the member given these.

Letters: K members, M configurations of the picked frames' labels, R outcomes of one frame's label, n frames.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-10  # share of what can still be learned that configurations may lose in all when they are dropped
_CELLS = 1 << 15  # numbers worked on at once, which stay in the cache
_MERGES = 4  # rounds of k-means


class Configurations:
    """Labels that the picked frames can have: weight ``[M]`` and the members' posterior given them ``[M, K]``."""

    def __init__(self, members: int) -> None:
        self.weight = np.ones(1)
        self.posterior = np.full((1, members), 1 / members)
        self.thinned = False  # whether they stand for others as well

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def left(self) -> float:
        """H(k | configuration), nats: no frame adds more."""
        return float(self._matters().sum())

    def _matters(self) -> Floats:
        """What each configuration leaves to be learned, ``[M]``."""
        return np.maximum(-self.weight * x_log_x(self.posterior).sum(axis=1), 0.0)

    def adds(self, probs: Floats, count: Floats) -> float:
        """E[I(y; k | configuration)] for a frame of outcomes ``[K, R]`` that stand for ``[R]``."""
        given = (self.weight @ self.posterior) @ x_log_x(probs)  # [R]
        mixed = mean_x_log_x(self.weight, self.posterior, probs)  # [R]
        return max(float((given - mixed) @ count), 0.0)

    def adds_at_most(self, probs: npt.NDArray[np.floating]) -> Floats:
        """As :meth:`adds` for n frames with all their outcomes, ``[K, n, R]`` to ``[n]``, and rounding added to it."""
        K, n, R = probs.shape
        weight, posterior = self.weight.astype(probs.dtype), self.posterior.astype(probs.dtype)
        flat = probs.reshape(K, n * R)
        given = (weight @ posterior) @ x_log_x(flat)  # [n · R]
        columns = max(1, _CELLS // (min(len(self), 256) * R)) * R
        mixed = np.concatenate(
            [mean_x_log_x(weight, posterior, flat[:, at : at + columns]) for at in range(0, n * R, columns)]
        )
        added = (given - mixed).reshape(n, R).sum(axis=1, dtype=np.float64)
        return np.maximum(added, 0.0) + self.rounding(R, probs.dtype)

    def rounding(self, outcomes: int, dtype: npt.DTypeLike) -> float:
        """Error of sums over K members, M configurations and all outcomes of x log x, nats."""
        terms = self.posterior.shape[1] + len(self) + outcomes + 8
        return terms * float(np.finfo(dtype).eps) / 2 * (math.log(outcomes) + 1)

    def append(self, probs: Floats, count: Floats, limit: int, generator: np.random.Generator) -> None:
        """Take in a frame of outcomes ``[K, R]`` that stand for ``[R]``; at most ``limit`` configurations stay."""
        evidence = self.posterior @ probs  # [M, R]
        share = evidence * count  # [M, R]
        share /= share.sum(axis=1, keepdims=True)  # 1 in all, also where outcomes stand for others
        share *= self.weight[:, None]
        entropy = x_log_x(self.posterior) @ probs + self.posterior @ x_log_x(probs)  # [M, R]
        np.maximum(evidence, np.finfo(np.float64).tiny, out=evidence)
        entropy /= evidence
        entropy -= np.log(evidence, out=evidence)  # Σₖ p log p of the posterior given the outcome as well
        matters = np.maximum(share * -entropy, 0.0).ravel()  # [M · R], no frame can add more
        matters[matters <= _NEGLIGIBLE * matters.sum() / max(matters.size, 1)] = 0.0
        kept, factor = thinned(matters, limit, generator.random())
        self.thinned |= bool((factor > 1).any() or (count > 1).any())
        before, outcome = np.divmod(kept, len(count))
        posterior = self.posterior[before] * probs[:, outcome].T  # [kept, K]
        posterior /= posterior.sum(axis=1, keepdims=True)
        unsure = (posterior < 1).all(axis=1)  # the others are here by rounding alone
        self.weight, self.posterior = (share.ravel()[kept] * factor)[unsure], posterior[unsure]

    def merged(self, size: int) -> Configurations:
        """At most ``size`` configurations in which like ones are one: every frame adds at least as much to these.

        Merging is to forget something of the labels, and what is left says less about a further frame's label, which
        tells the rest. Which are like, k-means by KL decides.
        """
        if len(self) <= size:
            return self
        first, _ = thinned(self._matters(), size, 0.5)
        centre, weight = self.posterior[first], self.weight[first]
        for _ in range(_MERGES):
            nearest = (self.posterior @ np.log(np.maximum(centre, 1e-9)).T).argmax(axis=1)  # [M]
            order = np.argsort(nearest, kind="stable")
            _, start = np.unique(nearest[order], return_index=True)
            weight = np.add.reduceat(self.weight[order], start)
            centre = np.add.reduceat((self.weight[:, None] * self.posterior)[order], start) / weight[:, None]
        merged = Configurations(self.posterior.shape[1])
        merged.weight, merged.posterior = weight, centre
        return merged


def thinned(weight: Floats, size: int, offset: float) -> tuple[npt.NDArray[np.intp], Floats]:
    """Positions of ``size`` weights and what to multiply them by so that all sums stay right on average.

    Fearnhead and Clifford, JRSS B 2003: weights above a threshold c are kept as they are, each other one with
    probability weight/c, in which case it becomes c.

    Args:
        weight: ``[R]`` of 0 or more.
        size: how many to keep, fewer only where fewer are above 0.
        offset: uniform draw from [0, 1).

    Returns:
        Positions, those kept for sure first and in the order of falling weights, and factors of 1 or more.

    >>> kept, factor = thinned(np.array([1.0, 8.0, 1.0, 2.0]), 3, 0.5)
    >>> kept.tolist(), factor.tolist()  # c = 2
    ([1, 0, 3], [1.0, 2.0, 1.0])
    """
    above = np.flatnonzero(weight)
    if len(above) <= size:
        order = above[np.argsort(-weight[above], kind="stable")]
        return order, np.ones(len(order))
    largest, smaller = np.split(above[np.argpartition(-weight[above], size)], [size])
    largest, smaller = np.sort(largest), np.sort(smaller)
    largest = largest[np.argsort(-weight[largest], kind="stable")]
    falling = weight[largest]
    behind = np.cumsum(falling[::-1])[::-1] + weight[smaller].sum()  # each and all smaller ones together
    level = behind / np.arange(size, 0, -1)  # c, if as many as stand before are kept for sure
    sure = int(np.argmax(falling <= level))
    unsure = np.sort(np.concatenate([largest[sure:], smaller]))  # like ones are side by side
    chance = np.minimum(weight[unsure] / level[sure], 1.0)
    chosen = np.flatnonzero(np.diff(np.floor(np.cumsum(chance) + offset), prepend=0.0) > 0)
    return np.concatenate([largest[:sure], unsure[chosen]]), np.concatenate([np.ones(sure), 1 / chance[chosen]])


def mean_x_log_x(
    weight: npt.NDArray[np.floating], posterior: npt.NDArray[np.floating], probs: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Σₘ wₘ xₘ log xₘ with x = posterior · probs, ``[M], [M, K], [K, R]`` to ``[R]``, a few rows at a time."""
    M, R = len(weight), probs.shape[1]
    rows = max(1, min(M, _CELLS // R))
    tiny = np.finfo(probs.dtype).tiny
    x, log = np.empty((2, rows, R), probs.dtype)
    total = np.zeros(R, probs.dtype)
    for at in range(0, M, rows):
        part, its_log = x[: M - at], log[: M - at]
        np.matmul(posterior[at : at + rows], probs, out=part)
        np.maximum(part, tiny, out=its_log)
        np.log(its_log, out=its_log)
        its_log *= part
        total += weight[at : at + rows] @ its_log
    return total


def x_log_x(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Of x · log x, 0 at 0."""
    return x * np.log(np.maximum(x, np.finfo(x.dtype).tiny))
