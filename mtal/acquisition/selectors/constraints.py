"""What may be picked next, given what was picked and labelled before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mtal.refusals import refuse

Bools = npt.NDArray[np.bool_]


class Rule(ABC):
    """One condition on the next pick, which forbids more and more as picks are made.

    Keeps track of one call of a selector, so each call needs a fresh one.

    A soft rule gives way to the budget by :meth:`relax`, which must always succeed; a hard rule never does, and ends
    the picking instead.

    Attributes:
        hard: never relaxed; what it forbids cannot be picked.
    """

    hard: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Number of candidates N."""

    @abstractmethod
    def allowed(self) -> Bools:
        """``[N]`` bool: what this rule has nothing against. Not to be changed by the caller."""

    @abstractmethod
    def pick(self, i: int) -> None:
        """Take note that candidate ``i`` is picked."""

    def relax(self, left: Bools) -> None:
        """Loosen as little as it takes to allow one of the candidates ``left`` (``[N]`` bool, some true); warn once."""
        raise NotImplementedError(f"{type(self).__name__} is soft and needs relax(), or hard = True")

    def capacity(self, left: Bools) -> int:
        """How many of the candidates ``left`` can at most be picked under this rule."""
        return int((left & self.allowed()).sum())

    def reason(self, left: Bools) -> str | None:
        """What to tell when this rule ends the picking although ``left`` remain; ``None`` if it is meant to end so."""
        return f"{type(self).__name__} allows none of the {int(left.sum())} frames that are left"


class Constraint:
    """Every frame at most once, and rules that hold all at the same time. Each call of a selector needs a fresh one.

    When no frame fulfils all rules but frames remain, soft rules give way, the last given first: going from the first
    rule to the last, each keeps its say among the frames that the rules before it allow, and is relaxed only where it
    would allow none of those.

    Args:
        size: number of candidates N.
        excluded: ``[N]`` bool, frames that must not be picked at all.
        rules: conditions on N candidates each, the most important first.

    Raises:
        ValueError: ``excluded`` or a rule is of another number of candidates.

    >>> from mtal.acquisition.moments import Moments
    >>> from mtal.acquisition.selectors import Cap, MinimumGap
    >>> moments = Moments(np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 2.0, 0.0]))
    >>> constraint = Constraint(4, rules=[MinimumGap(2.0, moments), Cap(1, moments.video)])
    >>> constraint.pick(0)
    >>> constraint.allowed().tolist(), constraint.remaining
    ([False, False, False, True], 3)
    """

    def __init__(self, size: int, excluded: Bools | None = None, rules: Sequence[Rule] = ()) -> None:
        refuse(_faults(size, excluded, rules), what="faults")
        self._free = np.ones(size, dtype=bool) if excluded is None else ~excluded
        self.rules = tuple(rules)
        self._allowed: Bools | None = None  # of the next pick, once known and not widened since

    def __len__(self) -> int:
        return len(self._free)

    @property
    def free(self) -> Bools:
        """``[N]`` bool: neither picked nor excluded, whatever else may stand against them."""
        return self._free.copy()

    @property
    def remaining(self) -> int:
        """How many frames can at most still be picked: the free ones that the hard rules leave room for."""
        left = self._pickable()
        return min([int(np.count_nonzero(left)), *(rule.capacity(left) for rule in self.rules if rule.hard)])

    def allowed(self, relax: bool = True) -> Bools:
        """``[N]`` bool, not to be changed; all false only when no free frame is left that the hard rules allow.

        Args:
            relax: let soft rules give way where no frame fulfils all of them; ``False`` gives all false then.
        """
        if self._allowed is not None:
            return self._allowed
        left = self._pickable()
        for rule in self.rules:
            if rule.hard:
                continue
            kept = left & rule.allowed()
            if relax and not kept.any() and left.any():
                rule.relax(left)
                kept = left & rule.allowed()
            left = kept
        left.setflags(write=False)
        if relax or left.any():
            self._allowed = left
        return left

    def pick(self, i: int) -> None:
        """Take candidate ``i`` out.

        Raises:
            ValueError: it was picked before or is excluded, or a hard rule forbids it.
        """
        if not self._free[i]:
            raise ValueError(f"candidate {i} was picked before or is excluded")
        for rule in self.rules:
            if rule.hard and not rule.allowed()[i]:
                raise ValueError(f"candidate {i} is not allowed by {type(rule).__name__}")
        self._free[i] = False
        self._allowed = None
        for rule in self.rules:
            rule.pick(i)

    def pick_all(self, positions: npt.NDArray[np.intp]) -> None:
        """Take several candidates out at once; only without rules, which go pick by pick.

        Raises:
            ValueError: there are rules, or one of them was picked before or is excluded.
        """
        if self.rules or not self._free[positions].all() or len(np.unique(positions)) < len(positions):
            raise ValueError("several candidates can be picked at once only without rules, and each only once")
        self._free[positions] = False
        self._allowed = None

    def reasons(self) -> list[str]:
        """Why nothing can be picked although frames are left, as far as that is not meant to be so."""
        told = (rule.reason(self._free) for rule in self.rules if rule.hard and (self._free & ~rule.allowed()).any())
        return [reason for reason in told if reason is not None]

    def _pickable(self) -> Bools:
        """``[N]`` bool: free and allowed by every hard rule."""
        left = self._free.copy()
        for rule in self.rules:
            if rule.hard:
                left &= rule.allowed()
        return left


def _faults(size: int, excluded: Bools | None, rules: Sequence[Rule]) -> Iterator[str]:
    if excluded is not None and excluded.shape != (size,):
        yield f"excluded must be [{size}], one per candidate, not {list(excluded.shape)}"
    for rule in rules:
        if len(rule) != size:
            yield f"{type(rule).__name__} is on {len(rule)} frames but there are {size} candidates"
