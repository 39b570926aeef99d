"""How much say each head has in a round."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mtal.acquisition.options import as_floats, refuse_unknown, wrong_weights
from mtal.acquisition.signals.base import SHARED
from mtal.acquisition.silence import warn_unlabelled
from mtal.acquisition.weights.base import HeadWeights
from mtal.acquisition.weights.equal import Equal
from mtal.refusals import refuse


@dataclass(frozen=True)
class Say:
    """Fixed weight · adaptive weight of each head; 0 for a head that has no label so far.

    Args:
        weights: the adaptive weights, from what the labelled frames tell; the same for every head by default.
        head_weights: task to its fixed weight; 1 where not given.

    Raises:
        ValueError: a fixed weight is negative or not finite.

    >>> Say(head_weights={"tools": 2.0})(["tools", "bleeding"], {"tools": 1.5, "bleeding": 0.5})
    {'tools': 3.0, 'bleeding': 0.5}
    """

    weights: HeadWeights = field(default_factory=Equal)
    head_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "head_weights", as_floats(self.head_weights))
        refuse(wrong_weights(self.head_weights, "head_weights"))

    def __call__(
        self, tasks: Collection[str], adaptive: Mapping[str, float] | None = None, inactive_tasks: Collection[str] = ()
    ) -> dict[str, float]:
        """Task to its weight.

        Args:
            tasks: the heads, and ``"shared"`` where signals of all heads together are among the columns.
            adaptive: what :attr:`weights` gave this round; 1 where not given.
            inactive_tasks: heads that have no label so far.

        Raises:
            ValueError: a weight or an inactive head is of no head in ``tasks``.

        Warns:
            UserWarning: a head has no label so far.
        """
        refuse_unknown(self.head_weights, tasks, "head_weights")
        if set(tasks) != {SHARED}:  # signals of all heads together name no head
            refuse_unknown(inactive_tasks, tasks, "inactive_tasks")
        warn_unlabelled(inactive_tasks)
        return self.of(tasks, adaptive, inactive_tasks)

    def of(
        self, tasks: Collection[str], adaptive: Mapping[str, float] | None = None, inactive_tasks: Collection[str] = ()
    ) -> dict[str, float]:
        """The same without a check or a warning."""
        return {
            task: self.head_weights.get(task, 1.0) * (adaptive or {}).get(task, 1.0) * (task not in inactive_tasks)
            for task in tasks
        }
