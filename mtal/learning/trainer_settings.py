"""How every round trains: a recipe that checks itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from mtal.suggest import nearest
from mtal.tasks.class_balance import Scheme


@dataclass(frozen=True)
class TrainerSettings:
    """How every round trains.

    Args:
        until: how long. ``steps``: so many optimiser steps, the same however many frames are labelled. ``epochs``: so
            many passes over the labelled frames. ``plateau``: until the joint score of ``val`` stops rising, first at
            the full learning rate and then at a tenth of it; the best weights are kept. ``val`` is the split, or where
            there is none a part of the labelled frames, see :mod:`mtal.learning.validation`.
        steps: optimiser steps per round.
        epochs: passes per round.
        patience: measurements of ``val`` without a rise after which it has stopped rising.
        measure_every: optimiser steps between two measurements of ``val``.
        most_steps: optimiser steps at most where ``val`` decides.
        batch_size: frames per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        class_balance: ``none``, ``sqrt`` or ``inverse``; see :func:`mtal.tasks.class_balance.class_weights`.
        mask_stride: learn from every n-th row and column of the masks, from a random one on at each step, each pixel
            with the logit at that pixel; the decoder's map has a stride of 2 or 4 anyway. Evaluation uses whole masks.
        flip: mirror each frame left to right (labels too) with probability ½.
        restart: ``cold`` trains from the initial weights each round, ``warm`` goes on from the round before.
        accelerator, devices, strategy: as Lightning's Trainer takes them. Several devices train by ``ddp_spawn``, since
            the loop around the training must stay one process.
        precision: of training; scoring and evaluation are in float32 always.
        deterministic: the same bits at every run on a GPU too, see :func:`~mtal.learning.determinism.deterministic`.

    Raises:
        ValueError: a value is of another type, out of range or no choice, or two do not go together.
    """

    until: Literal["steps", "epochs", "plateau"] = "steps"
    steps: int = 150
    epochs: int = 50
    patience: int = 5
    measure_every: int = 50
    most_steps: int = 5000
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    class_balance: Scheme = "sqrt"
    mask_stride: int = 2
    flip: bool = True
    restart: Literal["cold", "warm"] = "cold"
    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
                raise ValueError(f"trainer.{name} must be a whole number of at least 1, not {value!r}")
        for name, (least, fits) in _NUMBERS.items():
            value = getattr(self, name)
            if not (_is_number(value) and fits(value)):
                raise ValueError(f"trainer.{name} must be a number {least}, not {value!r}")
        for name in _SWITCHES:
            value = getattr(self, name)
            if value is not True and value is not False:
                raise ValueError(f"trainer.{name} must be true or false, not {value!r}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(
                    f"trainer.{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {value!r}"
                    f"{nearest(str(value), choices)}"
                )
        self._refuse_together()

    def _refuse_together(self) -> None:
        if self.devices > 1 and self.until == "plateau":
            raise ValueError(
                f"trainer.until=plateau trains on one device, not on {self.devices}; set trainer.devices=1, or give "
                "the length by trainer.until=epochs or steps"
            )
        if self.devices > 1 and self.strategy not in ("auto", "ddp_spawn"):
            raise ValueError(f"trainer.strategy={self.strategy} would run the loop once per device; use ddp_spawn")

    def length(self, frames: int) -> int:
        """Optimiser steps at most, with ``frames`` labelled."""
        if self.until == "plateau":
            return self.most_steps
        if self.until == "steps":
            return self.steps
        return math.ceil(self.epochs * frames / (self.batch_size * self.devices))

    def device(self) -> torch.device:
        """Where scoring and evaluation run.

        Raises:
            ValueError: a GPU is asked for and there is none.
        """
        if self.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            raise ValueError(f"trainer.accelerator={self.accelerator}, but no GPU is found; use auto or cpu")
        if self.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")


_COUNTS = ("steps", "epochs", "patience", "measure_every", "most_steps", "batch_size", "mask_stride", "devices")
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("above 0", lambda x: x > 0),
    "weight_decay": ("of at least 0", lambda x: x >= 0),
}
_SWITCHES = ("flip", "deterministic")
_CHOICES: dict[str, tuple[str, ...]] = {
    "until": ("steps", "epochs", "plateau"),
    "class_balance": ("none", "sqrt", "inverse"),
    "restart": ("cold", "warm"),
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "precision": ("32-true", "16-mixed", "bf16-mixed"),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
