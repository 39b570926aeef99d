"""Top-k on noisy scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.ranks import average_rank
from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.constraints import Bools, Constraint
from mtal.acquisition.selectors.tie_break import Ranking
from mtal.refusals import refuse

Floats = npt.NDArray[np.float64]
Kind = Literal["power", "softmax", "soft_rank"]


class Stochastic(Selector):
    """Draws without replacement, P(i) ∝ uᵢ^β (power), exp(β·uᵢ) (softmax) or rankᵢ^(−β) (soft_rank).

    Kirsch et al., TMLR 2023. Scores change once the first frames of a batch are labelled, which the noise allows for.
    Drawn as the top-k of log-weight + Gumbel noise (Kool et al., ICML 2019). Ranks count from 1 at the highest utility,
    ties share their average rank. Under a constraint each draw is over the frames that are still allowed.

    Cost: O(N log N).

    Args:
        kind: how weights follow from utilities. With ``"power"`` a frame of utility 0 is drawn only when no other is
            left, then uniformly.
        beta: 0 draws uniformly, towards infinity the highest utilities win.

    Raises:
        ValueError: an argument is out of its range; at the call, a utility is negative and the kind is power.

    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), utility=torch.tensor([0.0, 0.9, 0.5]))
    >>> Stochastic("power", beta=100.0)(candidates, 3, np.random.default_rng(0)).tolist()
    [1, 2, 0]
    """

    needs = frozenset({"utility"})
    because: ClassVar[str] = "a draw by utility"

    def __init__(self, kind: Kind = "power", beta: float = 1.0) -> None:
        self.kind = kind
        self.beta = beta
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.kind not in get_args(Kind):
            yield f"unknown kind {self.kind!r} of stochastic; kinds are {', '.join(get_args(Kind))}"
        if not 0 <= self.beta < float("inf"):
            yield f"beta of stochastic must be 0 or more, not {self.beta}"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame of the largest noisy log-weight.

        Raises:
            ValueError: a utility is negative and the kind is power.
        """
        utility = require(candidates.utility, "utility")  # [N]
        noise = gumbel_noise(candidates.tie_break, generator)  # [N]
        free = constraint.free
        if self.beta == 0:
            values = noise
        elif self.kind == "power":
            values = noisy_log(utility, noise / self.beta, free)
        elif self.kind == "softmax":
            values = self.beta * utility + noise
        else:
            rank = average_rank(torch.from_numpy(utility[free, None]), descending=True)[:, 0].numpy()  # free frames
            values = noise
            values[free] -= self.beta * np.log(rank)
        ranking = Ranking(values, candidates.tie_break)
        while True:
            yield ranking.first(constraint.allowed())


def gumbel_noise(hashes: npt.NDArray[np.uint64], generator: np.random.Generator) -> Floats:
    """Gumbel noise, ``[N]``, drawn in the order of the hashes, so that the order of the rows does not matter."""
    noise = np.empty(len(hashes))
    noise[np.argsort(hashes, kind="stable")] = generator.gumbel(size=len(hashes))
    return noise


def noisy_log(utility: Floats, noise: Floats, free: Bools) -> Floats:
    """Score log u + noise, ``[N]``; where u is 0, the noise alone but below all others.

    Raises:
        ValueError: a utility of a free frame is negative.
    """
    lowest = float(utility[free].min())
    if lowest < 0:
        raise ValueError(
            f"power weights need utilities of 0 or more, the lowest is {lowest:.3g}; choose a normaliser that maps to "
            f"[0, 1], such as percentile_rank, or another kind of noise"
        )
    above = free & (utility > 0)
    values = noise.copy()
    values[above] += np.log(utility[above])
    if above.any():
        values[~above] += values[above].min() - noise.max() - 1
    return values
