"""One head alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion


class SingleTask(Fusion):
    """s_task: one head chooses for all, the baseline that joint acquisition has to beat.

    Where the head's weight is 0 (it has no labels yet, or scores every frame the same) all utilities are 0, and the
    choice is left to the tie-break.

    Cost: O(N).

    Args:
        task: name of the head.

    Raises:
        ValueError: at the call, if the head is not among the names given.

    >>> SingleTask("bleeding")(torch.tensor([[1.0, 0.25]]), tasks=("tools", "bleeding")).tolist()
    [0.25]
    """

    keeps_unit: ClassVar[bool] = True

    def __init__(self, task: str) -> None:
        self.task = task

    def heard(self, weights: Tensor, tasks: Sequence[str]) -> Tensor:
        """The named head only."""
        return (weights > 0) & torch.tensor([task == self.task for task in tasks])

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Score of the named head, ``[N]``."""
        if tasks is None or self.task not in tasks:
            raise ValueError(f"no head is called {self.task!r}; heads are {tasks}; set fusion.task to one of them")
        column = tasks.index(self.task)
        return scores[:, column].clone() if weights[column] > 0 else torch.zeros(len(scores), dtype=torch.float64)
