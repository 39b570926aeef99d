"""Chance, the baseline that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.tie_break import first_allowed


class Random(Selector):
    """Uniform draws without replacement.

    Under a constraint each draw is uniform over the frames that are still allowed.

    Cost: O(N).

    >>> picks = Random()(Candidates(np.arange(5, dtype=np.uint64)), 5, np.random.default_rng(0))
    >>> sorted(picks.tolist())
    [0, 1, 2, 3, 4]
    """

    because: ClassVar[str] = "chance"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frames in shuffled order."""
        shuffled = generator.permutation(np.argsort(candidates.tie_break, kind="stable"))  # [N]
        while True:
            yield first_allowed(shuffled, constraint.allowed())
