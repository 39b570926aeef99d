"""An exponential moving average of the weights, by timm."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import lightning
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from mtal.models import MultiTaskModel


class WeightAverage(lightning.Callback):
    """Follows the weights and takes their place in the end.

    Polyak and Juditsky, 1992; Tarvainen and Valpola, NeurIPS 2017. Over the first steps the average forgets faster, or
    a short training would end near its random beginning: its decay is 1 − step^(−2/3) until that reaches ``decay``.

    Args:
        decay: share of the average that a step keeps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._model: MultiTaskModel | None = None
        self._followed: nn.ModuleList | None = None
        self._average: ModelEmaV3 | None = None
        self._step = 0

    @property
    def model(self) -> MultiTaskModel:
        """The average so far, in evaluation mode."""
        assert self._model is not None
        return self._model

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begin at the weights that are there."""
        self._model = deepcopy(pl_module.model).eval()
        self._followed = _learning(pl_module.model)
        self._average = ModelEmaV3(self._followed, self.decay, use_warmup=True)
        self._average.module = _learning(self._model)

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Follow each optimiser step."""
        assert self._average is not None
        if trainer.global_step > self._step:  # gradients may be summed over several batches
            self._step = trainer.global_step
            self._average.update(self._followed, self._step)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Give the model the average."""
        pl_module.model.load_state_dict(self.model.state_dict())


def _learning(model: nn.Module) -> nn.ModuleList:
    """The parts of a model that training changes: following a frozen encoder takes as long as a sixth of a step."""
    return nn.ModuleList(part for part in model.children() if any(p.requires_grad for p in part.parameters()))
