"""A budget of the annotators' time, or of their answers, in place of a number of frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.constraints import Bools, Rule
from mtal.refusals import refuse

_ROUNDING = 1e-9  # three times 0.1 s is a little more than 0.3 s


class CostBudget(Rule):
    """Σ cost of the picked frames ≤ seconds. A hard rule: the picking ends when no frame left is affordable.

    Give the selector a number of frames that cannot be reached (the size of the pool), and this rule is what ends the
    batch. Frames that cost more than what is left are passed over for the next ones that do not.

    Cost: O(N) per pick.

    Args:
        seconds: of annotation, above 0.
        cost_s: ``[N]`` seconds that each candidate takes, 0 or more, see
            :class:`~mtal.acquisition.costs.AnnotationCost`.
        unit: what is counted, where it is not seconds; for messages.

    Attributes:
        spent: seconds of the picked frames.

    Raises:
        ValueError: the budget is not above 0, or a cost is negative or not finite.

    >>> budget = CostBudget(60.0, np.array([20.0, 50.0, 35.0]))
    >>> budget.pick(0)
    >>> budget.allowed().tolist(), budget.spent
    ([True, False, True], 20.0)
    """

    hard = True

    def __init__(self, seconds: float, cost_s: npt.NDArray[Any], unit: str = "s") -> None:
        cost_s = np.asarray(cost_s, dtype=np.float64)
        refuse(_faults(seconds, cost_s, unit), what="faults")
        self.seconds = float(seconds)
        self.spent = 0.0
        self._cost_s = cost_s
        self._unit = unit

    def __len__(self) -> int:
        return len(self._cost_s)

    def allowed(self) -> Bools:
        """``[N]`` bool: affordable with what is left."""
        return self._cost_s <= self._left_s

    def pick(self, i: int) -> None:
        """Pay for candidate ``i``."""
        self.spent += float(self._cost_s[i])

    def capacity(self, left: Bools) -> int:
        """How many of the candidates ``left`` are affordable, the cheapest first."""
        return int(np.searchsorted(np.cumsum(np.sort(self._cost_s[left])), self._left_s, side="right"))

    def reason(self, left: Bools) -> str | None:
        """``None`` once something is picked: the budget is spent as planned."""
        if self.spent > 0:
            return None
        cheapest = float(self._cost_s[left].min())
        unit = self._unit
        return f"the cost budget is {self.seconds:g} {unit} but the cheapest frame left costs {cheapest:g} {unit}"

    @property
    def _left_s(self) -> float:
        return self.seconds * (1 + _ROUNDING) - self.spent


def _faults(seconds: float, cost_s: npt.NDArray[np.float64], unit: str) -> Iterator[str]:
    if not 0 < seconds < float("inf"):
        yield f"the cost budget must be above 0 {unit}, not {seconds}"
    if cost_s.ndim != 1 or not (np.isfinite(cost_s).all() and (cost_s >= 0).all()):
        yield f"cost_s must be [N] finite seconds of 0 or more; it is {list(cost_s.shape)}"
