"""Say that goes to the heads whose turns paid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtal.acquisition.weights.base import Evidence, HeadWeights, PastRound
from mtal.refusals import refuse


class Bandit(HeadWeights):
    """Multiplicative weights over heads: qₜ ∝ exp(η Σᵣ rewardᵣ·(sₜᵣ − pₜᵣ)/γ), replayed from the history.

    Exp3 (Auer et al., SIAM J. Comput. 2002), as a bandit chooses among acquisition functions in Hsu and Lin, AAAI
    2015; here the arms are heads. Exp3 draws one arm with probability p = (1 − γ)q + γ/T. Heads share every round
    instead, so only the exploration is given to one: the heads take turns, by name, and in round r head t has the share
    sₜ = (1 − γ)qₜ + γ·[its turn], which is p on average over the turns.

    The reward of a round is how far the gain of the joint out-of-fold score (mean over the heads scored before and
    after) exceeds what the mean rate of all gains so far, per logarithm of the labels, lets expect: learning curves
    flatten, and the head whose turn came first must not profit from that. If the gain is Σₜ sₜxₜ, then
    gain·(sₜ − pₜ)·T/γ² is over the turns an unbiased estimate of xₜ − mean(x), a one-point estimate as in Flaxman,
    Kalai and McMahan, SODA 2005; of its constant, T/γ is left to the learning rate, so that a step is bounded. The
    shares are those that the frames were picked with, as the history has them; a round without them teaches nothing.

    It can only learn from differences between turns, so it takes a few times T rounds.

    Cost: O(T) per earlier round, after cross-validation on the labelled frames.

    Args:
        learning_rate: η > 0, per unit of the score.
        exploration: γ in (0, 1), the part of the say that goes by turns.

    Raises:
        ValueError: the learning rate is not above 0 or not finite, or the exploration is not in (0, 1).

    >>> classes = {"tools": ("hook",), "anatomy": ("liver",)}
    >>> weights = Bandit(exploration=0.25)(Evidence(classes, history=()))  # no news yet: anatomy's turn, by name
    >>> {task: round(weight, 6) for task, weight in weights.items()}
    {'tools': 0.75, 'anatomy': 1.25}
    """

    needs = frozenset({"history"})

    def __init__(self, learning_rate: float = 20.0, exploration: float = 0.3) -> None:
        self.learning_rate = learning_rate
        self.exploration = exploration
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 < self.learning_rate < math.inf:
            yield f"learning_rate must be above 0 and finite, not {self.learning_rate}"
        if not 0 < self.exploration < 1:
            yield f"exploration must lie in (0, 1), not {self.exploration}"

    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """Share of each task in the coming picks."""
        assert evidence.history is not None  # for the type checker; needs says so
        names = sorted(evidence.tasks)
        credit = np.zeros(len(names))  # [T]
        for past, reward in zip(evidence.history, _rewards(evidence.history), strict=False):
            weights = np.array([past.weights.get(name, 0.0) for name in names])  # [T]
            if weights.any():
                expected = (1 - self.exploration) * self._shares(credit)  # [T] p less γ/T, which moves all heads alike
                credit = credit + reward * (weights / weights.sum() - expected) / self.exploration
        shares = (1 - self.exploration) * self._shares(credit)  # [T]
        turn = max(len(evidence.history) - 1, 0) % len(names)
        shares[turn] += self.exploration
        return {name: float(shares[names.index(name)]) for name in evidence.tasks}

    def _shares(self, credit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Policy q ∝ exp(η·credit), ``[T]``."""
        powers = np.exp(self.learning_rate * (credit - credit.max()))
        return powers / powers.sum()


def _rewards(history: tuple[PastRound, ...]) -> list[float]:
    """Gain of the joint score from each round to the next beyond the mean rate of the gains so far, one fewer."""
    rewards = []
    total_gain = total_growth = 0.0
    for past, present in pairwise(history):
        both = past.scores.keys() & present.scores.keys()
        if not both or present.labelled <= past.labelled:
            rewards.append(0.0)
            continue
        gain = math.fsum(present.scores[task] - past.scores[task] for task in both) / len(both)
        growth = math.log(present.labelled / past.labelled)
        total_gain += gain
        total_growth += growth
        rewards.append(gain - total_gain * growth / total_growth)
    return rewards
