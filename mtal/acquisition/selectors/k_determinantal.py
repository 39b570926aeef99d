"""Batches that span a large volume: good frames that are unlike each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.boost import boost, wrong_gamma
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.lazy_argmax import Floats, LazyArgmax, Places, pieces
from mtal.acquisition.selectors.volume import Vectors, Volume, largest_of_few
from mtal.acquisition.selectors.weighted_draw import WeightedDraw
from mtal.acquisition.threads import in_pieces
from mtal.refusals import refuse

_SMALL = 1 << 22  # so many numbers are multiplied at every pick faster than sorted out
_PATIENCE = 64  # one rejected draw costs about as much as bringing this many chances up to date
_TOGETHER = 32  # draws looked at together
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

    Raises:
        ValueError: an argument is out of its range.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), features=x)
    >>> KDeterminantal(gamma=0.0)(candidates, 2, np.random.default_rng(0)).tolist()
    [0, 2]
    """

    because: ClassVar[str] = "unlike the other picks"

    def __init__(self, mode: Literal["map", "sample"] = "map", gamma: float = 1.0, ridge: float = 1e-6) -> None:
        self.mode = mode
        self.gamma = gamma
        self.ridge = ridge
        self.needs = frozenset({"features", "utility"} if gamma > 0 else {"features"})
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.mode not in ("map", "sample"):
            yield f"unknown mode {self.mode!r} of k-determinantal; choices are map and sample"
        if not 0 < self.ridge < float("inf"):
            yield f"ridge of k-determinantal must be above 0, not {self.ridge}"
        yield from wrong_gamma(self.gamma, "k-determinantal")

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield one frame after the other."""
        vectors = self._vectors(candidates, constraint.free)
        if self.mode == "map":
            volume = Volume(vectors, candidates.tie_break, self.ridge)
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

    def at_once(self, candidates: Candidates, budget: int, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp] | None:
        """The picks of ``"map"`` from a small pool."""
        if self.mode != "map" or candidates.features is None or candidates.features.numel() > _SMALL:
            return None
        by_hash = np.argsort(candidates.tie_break, kind="stable")  # [N]
        return largest_of_few(self._vectors(candidates, free), by_hash[free[by_hash]], self.ridge, budget)

    def _vectors(self, candidates: Candidates, free: npt.NDArray[np.bool_]) -> Vectors:
        if candidates.features is None:
            raise ValueError("the candidates bring no features")
        return Vectors(candidates.features.detach().cpu(), boost(candidates, self.gamma, free))


def _sample(
    vectors: Vectors,
    by_hash: Places,
    budget: int,
    generator: np.random.Generator,
    constraint: Constraint,
) -> Iterator[int]:
    """A batch of the k-determinantal process on the free frames, k the budget or the rank if that is less.

    Drawn frame by frame; ends early where no allowed frame has a chance left. Where no frame has any, one is drawn
    uniformly.

    A frame's chance only falls from pick to pick. So frames are drawn by the chances that they had some picks ago and
    accepted with their chance now over that, which is the same distribution.
    """
    free = by_hash[constraint.free[by_hash]]  # [F]
    basis = _eigenvectors(vectors, free, budget, generator)  # [D, k]
    chance = _sq_lengths(vectors, free, basis)  # [F], k in all
    if chance[constraint.allowed()[free]].sum() <= _RANK:
        allowed = np.flatnonzero(constraint.allowed()[free])
        yield int(free[allowed[int(generator.random() * len(allowed))]])
        return
    draws = _Draws(vectors, free, basis, chance, generator)
    while not draws.finished:
        listed = constraint.allowed()[free]  # [F]
        if draws.refresh(listed) <= _RANK:
            return
        rejected, patience = 0, len(free) // _PATIENCE + _TOGETHER
        while rejected < patience:
            for i, place in enumerate(draws.propose()):
                if not (draws.accepts(i) and constraint.allowed()[free[place]]):
                    rejected += 1
                    continue
                yield int(free[place])
                draws.take(i)
                if draws.finished or (constraint.allowed()[free] & ~listed).any():  # a rule gave way
                    rejected = patience
                    break


class _Draws:
    """Draws by the chance of each frame given the picks, ‖yᵢ‖² less its part along the picks, yᵢ = Wᵀbᵢ.

    Args:
        vectors: rows bᵢ.
        free: ``[F]`` positions.
        basis: W ``[D, k]``.
        chance: ‖yᵢ‖², ``[F]``.
        generator: the only source of randomness.
    """

    def __init__(
        self, vectors: Vectors, free: Places, basis: Tensor, chance: Floats, generator: np.random.Generator
    ) -> None:
        self._vectors, self._free, self._basis, self._chance = vectors, free, basis, chance
        self._generator = generator
        self._done = np.empty((basis.shape[1], basis.shape[1]))  # [k, k], a unit vector per pick
        self._fresh = self._drawn = 0  # picks that the chances know of, and all of them

    @property
    def finished(self) -> bool:
        """Whether k frames are drawn."""
        return self._drawn == len(self._done)

    def refresh(self, allowed: npt.NDArray[np.bool_]) -> float:
        """Bring the chances up to date; their sum over the frames allowed, ``[F]``."""
        if self._fresh < self._drawn:
            directions = self._basis @ torch.from_numpy(self._done[self._fresh : self._drawn]).T  # [D, picks since]
            self._chance = np.maximum(self._chance - _sq_lengths(self._vectors, self._free, directions), 0.0)
            self._fresh = self._drawn
        self._draw = WeightedDraw(np.where(allowed, self._chance, 0.0))
        return self._draw.total

    def propose(self) -> list[int]:
        """Frames drawn by the chances as last known, into ``free``."""
        self._places = self._draw.at(self._generator.random(_TOGETHER))  # [m]
        self._level = self._generator.random(_TOGETHER) * self._chance[self._places]  # [m]
        y = (self._vectors[self._free[self._places]] @ self._basis).numpy()  # [m, k]
        done = self._done[: self._drawn]
        for _ in range(2):  # once more for the digits
            y -= (y @ done.T) @ done
        self._y = y
        return self._places.tolist()

    def accepts(self, i: int) -> bool:
        """Whether proposal i passes as a draw by the chances as they are."""
        return bool(self._y[i] @ self._y[i] > max(self._level[i], _RANK))

    def take(self, i: int) -> None:
        """Pick proposal i."""
        done = self._done[: self._drawn]
        ahead = self._y[i] - (done @ self._y[i]) @ done  # [k]
        ahead /= np.linalg.norm(ahead)
        self._y -= np.outer(self._y @ ahead, ahead)
        self._done[self._drawn] = ahead
        self._drawn += 1
        self._chance[self._places[i]] = 0.0


def _sq_lengths(vectors: Vectors, positions: Places, directions: Tensor) -> Floats:
    """Σₖ (bᵢᵀ dₖ)², ``[F]``, of the frames at ``positions [F]`` along ``directions [D, k]``."""
    lengths = np.empty(len(positions))

    def measure(part: Places) -> None:
        lengths[part] = (vectors[positions[part]] @ directions).square().sum(dim=1).numpy()

    in_pieces(measure, pieces(np.arange(len(positions))))
    return lengths


def _eigenvectors(vectors: Vectors, free: Places, budget: int, generator: np.random.Generator) -> Tensor:
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
