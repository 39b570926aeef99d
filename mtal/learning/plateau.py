"""Train until the score of ``val`` stops rising and keep the best weights, or train again for as long."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor

from mtal.models import MultiTaskModel

Measure = Callable[[MultiTaskModel, torch.device], Mapping[str, float]]
"""Metrics of a model on the device where it is; it may come back in evaluation mode, and else as it was."""

SLOWER = 0.1
"""What the learning rate is multiplied by when the score stops rising for the first time; at the second it is over."""


@dataclass(frozen=True)
class Course:
    """How a training went from step to step.

    Attributes:
        steps: optimiser steps to the weights that were kept.
        slower_from: step from which on the learning rate was a tenth; ``None`` where it was the full one throughout.
    """

    steps: int
    slower_from: int | None = None

    def stretched(self, frames: int, tried: int) -> Course:
        """The same course over ``frames`` instead of ``tried`` of them: as many passes, rounded up to whole steps."""
        slower = None if self.slower_from is None else -(-self.slower_from * frames // tried)
        return Course(-(-self.steps * frames // tried), slower)


class AsBefore(lightning.Callback):
    """Lowers the learning rate where a course does."""

    def __init__(self, course: Course) -> None:
        self.course = course

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """From the next step on, as :class:`UntilPlateau` does."""
        if self.course.slower_from is not None and trainer.global_step >= self.course.slower_from:
            pl_module.rate = SLOWER


class UntilPlateau(lightning.Callback):
    """Stops rising: no measurement was better than the best so far for ``patience`` of them in a row.

    Prechelt, "Early stopping – but when?", 1998. The last step is measured in any case.

    Args:
        measure: gives the metrics, of which ``joint`` counts; one that is NaN is no rise.
        patience: measurements without a rise that are waited for, at each of two learning rates.
        every: optimiser steps between two measurements.
        judged: gives the model to measure and keep; the one that is trained where ``None``.

    Attributes:
        scores: optimiser steps and joint score of each measurement.
        converged: whether the score had stopped rising at the lower rate before the steps were spent.
        best_step: step of the highest score; 0 where none could be measured.
        best: metrics there.
        slower_from: step at which the learning rate was turned down, if it was.
    """

    def __init__(
        self, measure: Measure, patience: int, every: int, judged: Callable[[], MultiTaskModel] | None = None
    ) -> None:
        self._judged = judged
        self.measure = measure
        self.patience = patience
        self.every = every
        self.scores: list[tuple[int, float]] = []
        self.converged = False
        self.best_step = 0
        self.best: Mapping[str, float] = {}
        self.slower_from: int | None = None
        self._weights: dict[str, Tensor] = {}
        self._waited = 0

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Measure where it is time to."""
        step = trainer.global_step
        due = step > 0 and (step % self.every == 0 or step == trainer.max_steps)
        if not due or (self.scores and self.scores[-1][0] == step):  # gradients may be summed over several batches
            return
        model = pl_module.model if self._judged is None else self._judged()
        metrics = self.measure(model, pl_module.device)
        pl_module.model.train()
        if self._rises(step, metrics):
            self._weights = {name: x.detach().clone() for name, x in model.trained_state().items()}
        elif self._waited >= self.patience:
            self._waited = 0
            if pl_module.rate == 1.0:
                pl_module.rate = SLOWER
                self.slower_from = step
            else:
                self.converged = self.best_step > 0
                trainer.should_stop = True

    def _rises(self, step: int, metrics: Mapping[str, float]) -> bool:
        score, highest = metrics["joint"], self.best.get("joint", -math.inf)
        self.scores.append((step, score))
        if not score > highest:  # NaN is not
            self._waited += 1
            return False
        self.best, self.best_step, self._waited = metrics, step, 0
        return True

    def restore(self, model: MultiTaskModel) -> None:
        """Give ``model`` the weights of the highest score; the last ones stay where none could be measured."""
        model.load_state_dict(self._weights, strict=False)
