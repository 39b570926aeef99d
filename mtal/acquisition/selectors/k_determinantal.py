"""Batches that span a large volume: good frames that are unlike each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import ROWS
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.boost import boost, checked_gamma
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.lazy_argmax import Floats, LazyArgmax, Places, UpperBounds, pieces
from mtal.acquisition.selectors.weighted_draw import WeightedDraw
from mtal.acquisition.threads import in_pieces

_SMALL = 1 << 19  # so many numbers are measured faster than sorted out
_RANK = 1e-10  # eigenvalues below this part of the largest are 0


class KDeterminantal(Selector):
    """P(S) ∝ det L_S with Lᵢⱼ = qᵢ·cos(xᵢ, xⱼ)·qⱼ, qᵢ = uᵢ^γ: utility stretches a frame, likeness flattens the batch.

    Kulesza and Taskar, ICML 2011; for active learning Bıyık, Wang, Anari and Sadigh, 2019. ``"map"`` takes the frame
    that multiplies the determinant most, again and again (Chen, Zhang and Zhou, NeurIPS 2018); ``"sample"`` draws the
    batch itself. The D × D matrix Σᵢ qᵢ²·xᵢ xᵢᵀ, ‖xᵢ‖ = 1, has the eigenvalues of the N × N one (Kulesza and Taskar,
    2012), so L is never built: time N·D per pick and memory N + D², beside the features.

    L has at most rank D, so no batch of more than D frames has a volume. ``"map"`` adds ``ridge`` to the diagonal,
    which decides once the space is spanned, by how little a frame repeats; ``"sample"`` begins a new batch among the
    frames left. Frames of q = 0 come last, by hash. Where a constraint forbids frames on the way, the draws go on among
    the others.

    Cost: O(N·D) per pick.

    Args:
        mode: ``"map"`` or ``"sample"``.
        gamma: 0 for likeness alone; above 0 utilities, mapped to [0, 1] over the frames that may be picked, are raised
            to this power.
        ridge: above 0, what ``"map"`` adds to the diagonal of L.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), features=x)
    >>> KDeterminantal(gamma=0.0)(candidates, 2, np.random.default_rng(0)).tolist()
    [0, 2]
    """

    because: ClassVar[str] = "unlike the other picks"

    def __init__(self, mode: Literal["map", "sample"] = "map", gamma: float = 1.0, ridge: float = 1e-6) -> None:
        if mode not in ("map", "sample"):
            raise ValueError(f"unknown mode {mode!r} of k-determinantal; choices are map and sample")
        if not 0 < ridge < float("inf"):
            raise ValueError(f"ridge of k-determinantal must be above 0, not {ridge}")
        self.mode = mode
        self.gamma = checked_gamma(gamma, "k-determinantal")
        self.ridge = ridge
        self.needs = frozenset({"features", "utility"} if gamma > 0 else {"features"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield one frame after the other."""
        quality = boost(candidates, self.gamma, constraint.free)  # [N]
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        vectors = _Vectors(candidates.features.detach().cpu(), quality)
        if self.mode == "map":
            volume = _Volume(vectors, candidates.tie_break, self.ridge)
            best = LazyArgmax(volume)
            while True:
                pick = best.next(constraint.allowed())
                yield pick
                volume.add(pick)
        by_hash = np.argsort(candidates.tie_break, kind="stable")  # [N]
        left = budget
        while True:
            drawn = 0
            for pick in _sample(vectors, by_hash, left, generator, constraint):
                drawn += 1
                yield pick
            left = max(1, left - drawn)


class _Vectors:
    """qᵢ·xᵢ/‖xᵢ‖, ``[N, D]`` float64, made when asked; 0 for a frame without features.

    Args:
        x: ``[N, D]``.
        quality: ``[N]``.
    """

    def __init__(self, x: Tensor, quality: Floats) -> None:
        norm = torch.cat([torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64) for rows in x.split(ROWS)])
        self._x = x
        self.sq_norm = np.where(norm.numpy() > 0, quality**2, 0.0)  # [N]
        self.scale = torch.where(norm > 0, torch.from_numpy(quality) / norm, 0.0)  # [N]
        self.shape = x.shape

    def __getitem__(self, positions: npt.NDArray[np.intp]) -> Tensor:
        index = torch.from_numpy(positions)
        return self._x[index].double() * self.scale[index, None]


class _Volume(UpperBounds):
    """What each frame multiplies det(L_S + ridge·I) by: ridge + bᵢᵀ (I + B_Sᵀ B_S / ridge)⁻¹ bᵢ.

    Each pick takes a square away from it, so that it is ridge + ‖bᵢ‖² − Σ (bᵢᵀ dₖ)² with one direction dₖ per pick.

    Args:
        vectors: the rows bᵢ of B.
        hashes: ``[N]``.
        ridge: above 0.
    """

    def __init__(self, vectors: _Vectors, hashes: npt.NDArray[np.uint64], ridge: float) -> None:
        N, D = vectors.shape
        super().__init__(hashes, ridge + vectors.sq_norm, measures_all=N * D <= _SMALL)
        self._vectors = vectors
        self._ridge = ridge
        self._start = self.bound.copy()  # [N]
        self._inverse = torch.eye(D, dtype=torch.float64)
        self._directions = torch.zeros(D, 0, dtype=torch.float64)  # [D, picks]

    def add(self, position: int) -> None:
        """Let one more pick take its direction away."""
        b = self._vectors[np.array([position])][0]  # [D]
        direction = self._inverse @ b
        direction /= (self._ridge + b @ direction).sqrt()
        self._inverse -= torch.outer(direction, direction)
        self._directions = torch.cat([self._directions, direction[:, None]], dim=1)
        super().add(position)

    def _exact(self, places: Places) -> Floats:
        lost = (self._vectors[self.by_hash[places]] @ self._directions).square().sum(dim=1).numpy()  # [P]
        return np.maximum(self._start[places] - lost, 0.0)

    def _lower(self, places: Places, first: int) -> None:
        def take_away(part: Places) -> None:
            lost = (self._vectors[self.by_hash[part]] @ self._directions[:, first:]).square().numpy()  # [P, picks]
            lost[np.arange(first, len(self.picks)) < self._seen[part, None]] = 0  # taken away before
            self.bound[part] = np.maximum(self.bound[part] - lost.sum(axis=1), 0.0)

        in_pieces(take_away, pieces(places))

    def _measure(self, position: int) -> None:
        self._lower(np.arange(len(self.bound)), len(self.picks) - 1)


def _sample(
    vectors: _Vectors,
    by_hash: Places,
    budget: int,
    generator: np.random.Generator,
    constraint: Constraint,
) -> Iterator[int]:
    """A batch of the k-determinantal process on the free frames, k the budget or the rank if that is less.

    Drawn frame by frame; ends early where no allowed frame has a chance left. Where no frame has any, one is drawn
    uniformly.
    """
    free = by_hash[constraint.free[by_hash]]  # [F]
    basis = _eigenvectors(vectors, free, budget, generator)  # [D, k]
    chance = _sq_lengths(vectors, free, basis)  # [F], k in all
    done: list[Tensor] = []
    for k in range(max(1, basis.shape[1])):
        allowed = constraint.allowed()[free]  # [F]
        weight = np.where(allowed, chance, 0.0)
        if weight.sum() <= _RANK and k == 0:
            weight = allowed.astype(np.float64)
        if weight.sum() <= _RANK:
            return
        place = int(WeightedDraw(weight).at(generator.random(1))[0])
        yield int(free[place])
        if not basis.shape[1]:
            return
        y = (vectors[free[[place]]] @ basis)[0]  # [k]
        for _ in range(2):  # once more for the digits
            for before in done:
                y = y - (y @ before) * before
        done.append(y / y.norm().clamp(min=1e-300))
        chance = np.maximum(chance - _sq_lengths(vectors, free, (basis @ done[-1])[:, None]), 0.0)
        chance[place] = 0.0


def _sq_lengths(vectors: _Vectors, positions: Places, directions: Tensor) -> Floats:
    """Σₖ (bᵢᵀ dₖ)², ``[F]``, of the frames at ``positions [F]`` along ``directions [D, k]``."""
    lengths = np.empty(len(positions))

    def measure(part: Places) -> None:
        lengths[part] = (vectors[positions[part]] @ directions).square().sum(dim=1).numpy()

    in_pieces(measure, pieces(np.arange(len(positions))))
    return lengths


def _eigenvectors(vectors: _Vectors, free: Places, budget: int, generator: np.random.Generator) -> Tensor:
    """W ``[D, k]``, such that the columns of B·W are the eigenvectors of L that the batch is drawn from.

    A set of eigenvectors is drawn with P ∝ the product of their eigenvalues, by elementary symmetric polynomials.
    """
    D = vectors.shape[1]
    dual = torch.zeros(D, D, dtype=torch.float64)
    for part in pieces(free):
        rows = vectors[part]
        dual += rows.T @ rows
    values, columns = torch.linalg.eigh(dual)
    real = values > _RANK * values[-1]  # none where all are 0
    values, columns = values[real], columns[:, real]
    k = min(budget, len(values))
    log_sums = _log_elementary(values.log().numpy(), k)  # [k + 1, rank + 1]
    chosen = []
    for n in range(len(values), 0, -1):
        if k == 0:
            break
        log_chance = float(values[n - 1].log()) + log_sums[k - 1, n - 1] - log_sums[k, n]
        if k == n or np.log1p(-generator.random()) < log_chance:
            chosen.append(n - 1)
            k -= 1
    return columns[:, chosen] / values[chosen].sqrt()


def _log_elementary(log_values: Floats, k: int) -> Floats:
    """Logarithm of e_l(λ_1, …, λ_n) for l ≤ k and all n: ``[k + 1, n + 1]``."""
    log_sums = np.full((k + 1, len(log_values) + 1), -np.inf)
    log_sums[0] = 0.0
    for n, log_value in enumerate(log_values, start=1):
        log_sums[1:, n] = np.logaddexp(log_sums[1:, n - 1], log_value + log_sums[:-1, n - 1])
    return log_sums
