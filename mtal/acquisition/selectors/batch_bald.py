"""Batches whose labels together tell the most about which member is right.

Letters: N frames, K members, M joint configurations of the picked frames' labels, R outcomes of one frame's label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import largest
from mtal.tasks.posterior import HeadOutput

Floats = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-10  # share of what can still be learned that configurations may lose in all when they are dropped
_KEPT = 2048  # frames whose outcomes are kept, which bounds the memory
_TINY = float(np.finfo(np.float64).tiny)


class BatchBald(Selector):
    """argmax of I(y₁, …, y_b; k), greedily, y the joint label of all frame heads of a picked frame and k the member.

    Kirsch et al., NeurIPS 2019. Given the member, labels are independent, also those of one frame's heads, so a frame's
    joint label has the product of its heads' probabilities. What a frame adds is E[I(y_i; k | y₁ … y_b)], the mean over
    configurations of the picked labels of its BALD under the members' posterior weights: never negative, and the same
    formula whether configurations are enumerated or sampled.

    All configurations are kept while there are at most ``samples``; beyond that they are thinned without bias, those
    that matter most for sure (Fearnhead and Clifford, JRSS B 2003). 1000 of them are about as exact as 10,000 sampled
    labels. A frame with more than ``max_outcomes`` joint labels is thinned in the same way.

    Few frames are looked at for each pick. What a frame adds shrinks as others are picked (submodularity), so its
    earlier value is a bound (Minoux, 1978); the first one is the mean KL between two members, which is convex and adds
    up over heads. With thinning bounds hold up to its noise. Once the labels tell the member, after at most log K nats,
    frames follow in the order of their hashes.

    Cost: N·K in the beginning and M·K·R for each frame looked at, M configurations and R joint labels.

    Args:
        samples: most configurations of the picked labels.
        max_outcomes: most joint labels of one frame.

    >>> import torch
    >>> probs = torch.tensor([[0.9, 0.9, 0.6], [0.1, 0.1, 0.4]])[:, :, None, None]  # the first two frames are the same
    >>> members = {"bleeding": HeadOutput("bernoulli", probs)}
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), members=members)
    >>> BatchBald()(candidates, 3, np.random.default_rng(0)).tolist()
    [0, 1, 2]
    """

    needs = frozenset({"members"})
    because: ClassVar[str] = "tells, with the other picks, most about which dropout member is right"

    def __init__(self, samples: int = 2_000, max_outcomes: int = 128) -> None:
        if samples < 1:
            raise ValueError(f"samples of batch_bald must be 1 or more, not {samples}")
        if max_outcomes < 2:
            raise ValueError(f"max_outcomes of batch_bald must be 2 or more, not {max_outcomes}")
        self.samples = samples
        self.max_outcomes = max_outcomes

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame that adds most to what the batch tells."""
        if not candidates.members:
            raise ValueError("the candidates bring no members")
        hashes = candidates.tie_break
        labels = _JointLabels(candidates.members, self.max_outcomes, hashes, generator)
        batch = _Configurations(labels.members)
        most = labels.mean_divergence()  # [N], what each frame adds at most
        while True:
            fresh = np.zeros(len(hashes), dtype=bool)  # [N]: it is what the frame adds
            pick = largest(most, constraint.allowed(), hashes)
            while not fresh[pick]:
                most[pick] = batch.adds(*labels.outcomes(pick))
                fresh[pick] = True
                pick = largest(most, constraint.allowed(), hashes)
            yield pick
            batch.append(*labels.outcomes(pick), self.samples, generator)


class _JointLabels:
    """Outcomes of the joint label of all heads of a frame, and their probabilities given each member."""

    def __init__(
        self,
        heads: Mapping[str, HeadOutput],
        limit: int,
        hashes: npt.NDArray[np.uint64],
        generator: np.random.Generator,
    ) -> None:
        self._variables = [variable for task in sorted(heads) for variable in _variables(task, heads[task])]
        self._limit = limit
        self.members = len(self._variables[0])
        if any(len(variable) != self.members for variable in self._variables):
            raise ValueError("all heads must have the same members, but their numbers differ")
        self._offset = np.empty((len(self._variables), len(hashes)))  # of the thinning; drawn in the order of hashes
        self._offset[:, np.argsort(hashes, kind="stable")] = generator.random(self._offset.shape)
        self.outcomes = lru_cache(_KEPT)(self._outcomes)

    def _outcomes(self, i: int) -> tuple[Floats, Floats]:
        """Probabilities ``[K, R]`` for frame i, and how many outcomes each stands for ``[R]``: 1 where enumerated."""
        probs, count = np.ones((self.members, 1)), np.ones(1)
        for variable, offset in zip(self._variables, self._offset, strict=True):
            probs = (probs[:, :, None] * variable[:, i, None, :]).reshape(self.members, -1)  # [K, R]
            count = np.repeat(count, variable.shape[2])  # [R]
            if len(count) > self._limit:
                kept, factor = thinned(count * probs.mean(axis=0), self._limit, float(offset[i]))
                probs, count = probs[:, kept], count[kept] * factor
        return probs, count

    def mean_divergence(self) -> Floats:
        """K⁻² Σ_kl KL(k‖l) of each frame's joint label, ``[N]``: not below BALD, as KL is convex in l."""
        bound = np.zeros(self._variables[0].shape[1])  # [N]
        for variable in self._variables:
            log = np.log(np.maximum(variable, _TINY))  # [K, N, values]
            bound += (variable * (log - log.mean(axis=0))).mean(axis=0).sum(axis=1)
        return np.maximum(bound, 0.0)


class _Configurations:
    """Labels that the picked frames can have: weight ``[M]`` and the members' posterior given them ``[M, K]``."""

    def __init__(self, members: int) -> None:
        self.weight = np.ones(1)
        self.posterior = np.full((1, members), 1 / members)

    def adds(self, probs: Floats, count: Floats) -> float:
        """E[I(y; k | configuration)] for a frame of outcomes ``[K, R]`` that stand for ``[R]``."""
        given = (self.weight @ self.posterior) @ _x_log_x(probs)  # [R]
        mixed = self.weight @ _x_log_x(self.posterior @ probs)  # [R]
        return max(float((given - mixed) @ count), 0.0)

    def append(self, probs: Floats, count: Floats, limit: int, generator: np.random.Generator) -> None:
        """Take in a frame of outcomes ``[K, R]`` that stand for ``[R]``; at most ``limit`` configurations stay."""
        share = self.posterior @ probs * count  # [M, R]
        share /= share.sum(axis=1, keepdims=True)  # 1 in all, also where outcomes stand for others
        weight = (self.weight[:, None] * share).ravel()  # [M · R]
        possible = np.flatnonzero(weight)
        weight = weight[possible]
        before, outcome = np.divmod(possible, len(count))
        posterior = self.posterior[before] * probs[:, outcome].T  # [M · R, K]
        posterior /= posterior.sum(axis=1, keepdims=True)
        matters = np.maximum(-weight * _x_log_x(posterior).sum(axis=1), 0.0)  # [M · R], no frame can add more
        matters[matters <= _NEGLIGIBLE * matters.sum() / max(len(matters), 1)] = 0.0
        kept, factor = thinned(matters, limit, generator.random())
        self.weight, self.posterior = weight[kept] * factor, posterior[kept]


def thinned(weight: Floats, size: int, offset: float) -> tuple[npt.NDArray[np.intp], Floats]:
    """Positions of ``size`` weights and what to multiply them by so that all sums stay right on average.

    Fearnhead and Clifford, JRSS B 2003: weights above a threshold c are kept as they are, each other one with
    probability weight/c, in which case it becomes c.

    Args:
        weight: ``[R]`` of 0 or more.
        size: how many to keep, fewer only where fewer are above 0.
        offset: uniform draw from [0, 1).

    Returns:
        Positions in the order of falling weights, and factors of 1 or more.

    >>> kept, factor = thinned(np.array([1.0, 8.0, 1.0, 2.0]), 3, 0.5)
    >>> kept.tolist(), factor.tolist()  # c = 2
    ([1, 3, 0], [1.0, 1.0, 2.0])
    """
    order = np.argsort(-weight, kind="stable")
    falling = weight[order]
    if len(weight) <= size:
        return order[falling > 0], np.ones(int((falling > 0).sum()))
    behind = np.cumsum(falling[::-1])[::-1][:size]  # each and all smaller ones together
    level = behind / np.arange(size, 0, -1)  # c, if as many as stand before are kept for sure
    sure = int(np.argmax(falling[:size] <= level))
    chance = np.minimum(falling / level[sure], 1.0) if level[sure] > 0 else (falling > 0).astype(np.float64)
    chance[:sure] = 1.0
    chosen = np.flatnonzero(np.diff(np.floor(np.cumsum(chance) + offset), prepend=0.0) > 0)
    return order[chosen], 1 / chance[chosen]


def _variables(task: str, head: HeadOutput) -> list[Floats]:
    """Independent labels of a head given the member, ``[K, N, values]`` each; an invalid frame has a sure one."""
    members = head.members
    if members is None or members.shape[2] != 1:
        raise ValueError(
            f"BatchBALD needs members [K, N, 1, C] of {task}, one site per frame; they are {list(head.probs.shape)}"
        )
    probs = members[:, :, 0].detach().cpu().double().clamp(0, 1).numpy()  # [K, N, C]
    valid = head.mask[:, :1].cpu().numpy()  # [N, 1]
    if head.family == "bernoulli":
        probs = np.where(valid, probs, 0.0)
        return [np.stack([1 - probs[:, :, c], probs[:, :, c]], axis=2) for c in range(probs.shape[2])]
    return [np.where(valid, probs / probs.sum(axis=2, keepdims=True), np.eye(probs.shape[2])[0])]


def _x_log_x(x: Floats) -> Floats:
    """Of x · log x, 0 at 0."""
    return x * np.log(np.maximum(x, _TINY))
