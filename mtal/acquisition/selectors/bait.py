"""Batches that leave the least expected error after training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import largest

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9  # of gains, which come out of updates; equal frames must stay equal


class Bait(Selector):
    """argmin over batches of Σₜ tr(Mₜ⁻¹·F_pool,t)/start, Mₜ = λI + F_labelled,t + Σ_{i ∈ batch} F_it.

    Ash et al., NeurIPS 2021 (Gone fishing): forward greedy to ``oversample`` times the budget, then the frames whose
    removal costs the least are taken out again. Each head t has Fisher information F_it = V_itᵀV_it about its own last
    layer, so blocks add up; they are scaled to one mean eigenvalue over the pool, and each trace is divided by its
    value before the batch, so that every head has an equal say. A head without information has none.

    Frames are picked in the order of the forward pass, less those taken out. The forward pass goes beyond the budget
    only as far as soft rules of the constraint need not give way.

    Cost: N·R²·(P + R) per step for factors of R × P, by low-rank updates (Woodbury) of what every frame would take off.
    Memory is that of the factors in float64.

    Args:
        regularization: λ, in units of what an average frame brings to an average direction, above 0.
        oversample: how many times the budget the forward pass picks, 1 or more.

    >>> import torch
    >>> factors = torch.tensor([[[2.0, 0.0]], [[2.0, 0.1]], [[0.0, 2.0]]])  # the first two tell the same
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), fisher={"tools": factors})
    >>> sorted(Bait()(candidates, 2, np.random.default_rng(0)).tolist())
    [1, 2]
    """

    needs = frozenset({"fisher"})
    because: ClassVar[str] = "tells most, with the other picks, about the last layers"

    def __init__(self, regularization: float = 1.0, oversample: float = 2.0) -> None:
        if not 0 < regularization < float("inf"):
            raise ValueError(f"regularization of bait must be above 0, not {regularization}")
        if not 1 <= oversample < float("inf"):
            raise ValueError(f"oversample of bait must be 1 or more, not {oversample}")
        self.regularization = regularization
        self.oversample = oversample

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the batch, then the allowed frames that take off most, one by one."""
        if candidates.fisher is None:
            raise ValueError("the candidates bring no fisher")
        heads = _heads(candidates.fisher, candidates.labelled_fisher or {}, self.regularization)
        hashes = candidates.tie_break
        batch = self._forward(heads, math.ceil(self.oversample * budget), deepcopy(constraint), hashes)
        while len(batch) > budget:
            loss = sum(
                (head.loss(np.array(batch)) for head in heads), start=np.zeros(len(batch))
            )  # frames of the batch
            place = largest(-loss, np.ones(len(batch), dtype=bool), hashes[batch], _ROUNDING)
            for head in heads:
                head.remove(batch[place])
            del batch[place]
        yield from batch
        for head in heads:
            head.refresh()
        while True:
            pick = largest(_gain(heads, len(candidates)), constraint.allowed(), hashes, _ROUNDING)
            for head in heads:
                head.add(pick)
            yield pick

    @staticmethod
    def _forward(heads: list[_Head], size: int, constraint: Constraint, hashes: npt.NDArray[np.uint64]) -> list[int]:
        """Greedy picks, fewer than ``size`` where the constraint would have to give way."""
        batch: list[int] = []
        while len(batch) < size and (allowed := constraint.allowed(relax=False)).any():
            batch.append(largest(_gain(heads, len(hashes)), allowed, hashes, _ROUNDING))
            constraint.pick(batch[-1])
            for head in heads:
                head.add(batch[-1])
        return batch


class _Head:
    """tr(M⁻¹F)/start of one head, and what each frame would take off it.

    With A = M⁻¹ and B = AFA, adding VᵀV to M takes off tr((I + VAVᵀ)⁻¹ VBVᵀ), and removing it adds
    tr((I − VAVᵀ)⁻¹ VBVᵀ). Both products are kept for all frames, ``[N, R, R]``, and updated by each pick.
    """

    def __init__(self, factors: Floats, labelled: Floats, regularization: float) -> None:
        P = factors.shape[2]
        scale = P / np.square(factors).sum(axis=(1, 2)).mean()
        self.factors = factors * scale**0.5  # [N, R, P]
        rows = self.factors.reshape(-1, P)  # [N · R, P]
        self.inverse = np.linalg.inv(regularization * np.eye(P) + scale * labelled)  # A
        pool = rows.T @ rows  # [P, P]
        self.pool = pool / np.sum(self.inverse * pool)  # F, the trace is 1 before the batch
        self.refresh()

    def refresh(self) -> None:
        """Compute VAVᵀ and VBVᵀ of all frames anew."""
        self.known, self.open = self._products(self.factors)  # [N, R, R] each

    def gain(self) -> Floats:
        """What each frame would take off, ``[N]``."""
        return _trace_of_quotient(np.eye(self.factors.shape[1]) + self.known, self.open)

    def loss(self, batch: npt.NDArray[np.intp]) -> Floats:
        """What the removal of each frame of the batch would add, ``[batch]``."""
        known, opened = self._products(self.factors[batch])
        return _trace_of_quotient(np.eye(self.factors.shape[1]) - known, opened)

    def add(self, i: int) -> None:
        """Take frame ``i`` into the batch; with A' = A − UUᵀ everything else follows."""
        root = self._root(i, 1.0)  # U [P, R]
        forward = self.factors @ root  # VU [N, R, R]
        towards = self.factors @ (self.inverse @ (self.pool @ root))  # VAFU [N, R, R]
        middle = root.T @ self.pool @ root  # UᵀFU [R, R]
        back = forward.transpose(0, 2, 1)
        self.known -= forward @ back
        self.open += (forward @ middle - towards) @ back - forward @ towards.transpose(0, 2, 1)
        self.inverse -= root @ root.T

    def remove(self, i: int) -> None:
        """Take frame ``i`` out of the batch; the products of the other frames wait for :meth:`refresh`."""
        root = self._root(i, -1.0)  # [P, R]
        self.inverse += root @ root.T

    def _root(self, i: int, sign: float) -> Floats:
        """U with (M ± VᵀV)⁻¹ = A ∓ UUᵀ, ``[P, R]``."""
        seen = self.factors[i] @ self.inverse  # VA [R, P]
        inner = np.eye(len(seen)) + sign * seen @ self.factors[i].T  # [R, R]
        return np.linalg.solve(np.linalg.cholesky(inner), seen).T

    def _products(self, factors: Floats) -> tuple[Floats, Floats]:
        seen = factors @ self.inverse  # VA [n, R, P]
        return seen @ factors.transpose(0, 2, 1), seen @ self.pool @ seen.transpose(0, 2, 1)


def _trace_of_quotient(denominator: Floats, numerator: Floats) -> Floats:
    """tr(D⁻¹N) of each pair, ``[n, R, R]`` to ``[n]``, never negative."""
    if denominator.shape[1] == 1:
        return np.maximum(numerator / denominator, 0.0)[:, 0, 0]
    return np.maximum(np.trace(np.linalg.solve(denominator, numerator), axis1=1, axis2=2), 0.0)


def _heads(fisher: Mapping[str, Tensor], labelled: Mapping[str, Tensor], regularization: float) -> list[_Head]:
    """The heads that have information, in the order of their names."""
    heads = []
    for task in sorted(fisher):
        factors = require(fisher[task], f"fisher.{task}")  # [N, R, P]
        if factors.ndim != 3:
            raise ValueError(f"fisher.{task} must be [N, R, P], not {list(factors.shape)}")
        P = factors.shape[2]
        known = require(labelled[task], task) if task in labelled else np.zeros((P, P))
        if known.shape != (P, P):
            raise ValueError(f"labelled_fisher.{task} must be [{P}, {P}], not {list(known.shape)}")
        if not (np.isfinite(factors).all() and np.isfinite(known).all()):
            raise ValueError(f"the Fisher information of {task} is not finite")
        if factors.any():
            heads.append(_Head(factors, known, regularization))
    return heads


def _gain(heads: list[_Head], size: int) -> Floats:
    """What each frame would take off all heads together, ``[N]``."""
    return sum((head.gain() for head in heads), start=np.zeros(size))
