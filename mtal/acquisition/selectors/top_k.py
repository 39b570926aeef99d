"""The frames of highest utility."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.base import Candidates, Selector, require
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import Ranking, leading


class TopK(Selector):
    """argmaxᵢ uᵢ, again and again: the highest utilities first, ties by hash.

    Cost: O(N).

    >>> import torch
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), utility=torch.tensor([0.1, 0.9, 0.5]))
    >>> TopK()(candidates, 2, np.random.default_rng(0)).tolist()
    [1, 2]
    """

    needs = frozenset({"utility"})

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame of highest utility."""
        ranking = Ranking(require(candidates.utility, "utility"), candidates.tie_break)
        while True:
            yield ranking.first(constraint.allowed())

    def at_once(self, candidates: Candidates, budget: int, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """The free frames of highest utility."""
        utility = np.where(free, require(candidates.utility, "utility"), -np.inf)  # [N]
        return leading(utility, candidates.tie_break, budget)[:budget]
