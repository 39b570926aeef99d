"""One selector while labels are few, another when there are more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint


class Switch(Selector):
    """``first`` up to and with round ``last``, ``then`` from the next one on.

    TCM (Doucet, Estermann, Aczel and Wattenhofer, arXiv 2401.03728) switches from TypiClust to the margin, since
    typical frames serve a model that knows little and uncertain ones a model that knows more. When to switch is theirs
    by the number of labels per class; here it is stated.

    Cost: that of the one whose turn it is; what either needs is measured in every round.

    Args:
        first: for rounds 1 to ``last``.
        then: for the later ones.
        last: round, 1 or more.

    Raises:
        ValueError: an argument is out of its range.

    >>> import torch
    >>> from mtal.acquisition.selectors import Random, TopK
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), torch.tensor([0.1, 0.9, 0.5]), round_number=3)
    >>> Switch(Random(), TopK(), last=2)(candidates, 2, np.random.default_rng(0)).tolist()
    [1, 2]
    """

    def __init__(self, first: Selector, then: Selector, last: int = 2) -> None:
        if last < 1:
            raise ValueError(f"last of switch must be round 1 or a later one, not {last}")
        self.first = first
        self.then = then
        self.last = last
        self.needs = first.needs | then.needs

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield what the selector of this round yields."""
        return self._of(candidates.round_number).choose(candidates, budget, generator, constraint)

    def reads(self, round_number: int) -> frozenset[str]:
        """What the selector of this round reads."""
        return self._of(round_number).reads(round_number)

    def reason(self, round_number: int) -> str:
        """Why the selector of this round picks."""
        return self._of(round_number).reason(round_number)

    def _of(self, round_number: int) -> Selector:
        return self.first if round_number <= self.last else self.then
