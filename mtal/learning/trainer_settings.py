"""How every round trains: a recipe that checks itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch

from mtal.learning.multi_task_loss import FrameLoss, PixelLoss
from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse
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
        batch_size: frames per batch, of each device.
        learning_rate: peak of the one-cycle schedule.
        encoder_learning_rate: of the encoder where it is not frozen; that of the rest where ``None``.
        layer_decay: of the encoder's rate from layer to layer, towards the picture; ``None`` for none. 0.75 or so for a
            pretrained ViT.
        schedule: ``one_cycle`` or ``cosine`` where the length is known. Where ``val`` decides there is no choice.
        warm_up_steps: steps of rising rate; ``None`` for a fifth of a known length, or to the first measurement.
        weight_decay: of AdamW.
        decay: ``all`` parameters, or ``matrices``: neither biases nor norms.
        accumulate: batches whose gradients make one step.
        clip: longest gradient; ``None`` for any.
        ema: share of an exponential moving average of the weights that a step keeps, such as 0.99; ``None`` for none.
            It is what is measured, kept and evaluated. Early steps keep less, see
            :class:`~mtal.learning.weight_average.WeightAverage`: values that a training is too short for are all alike.
        frame_loss: of tags and phases: ``cross_entropy`` or ``focal``.
        pixel_loss: of masks: ``cross_entropy``, ``focal``, ``dice``, or ``dice_cross_entropy``, the sum of the two.
            Dice weighs the classes by itself, so ``class_balance`` does not change it.
        class_balance: ``none``, ``sqrt`` or ``inverse``; see :func:`mtal.tasks.class_balance.class_weights`.
        mask_stride: learn from every n-th row and column of the masks, from a random one on at each step, each pixel
            with the logit at that pixel; the decoder's map has a stride of 2 or 4 anyway. Evaluation uses whole masks.
        restart: ``cold`` trains from the initial weights each round, ``warm`` goes on from the round before. Where
            ``val`` decides, that needs the split: labelled frames that are held out would have been learnt already.
        accelerator, devices, strategy: as Lightning's Trainer takes them. Several devices train by ``ddp_spawn``, since
            the loop around the training must stay one process.
        precision: of training; scoring and evaluation are in float32 always.
        deterministic: the same bits at every run on a GPU too, see :func:`~mtal.models.determinism.deterministic`.
        pseudo_labels: what is learnt from the last round's model on frames without a label.
        propagation: what is learnt from masks of labelled frames on the frames beside them.

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
    encoder_learning_rate: float | None = None
    layer_decay: float | None = None
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    warm_up_steps: int | None = None
    weight_decay: float = 1e-4
    decay: Literal["all", "matrices"] = "all"
    accumulate: int = 1
    clip: float | None = 1.0
    ema: float | None = None
    frame_loss: FrameLoss = "cross_entropy"
    pixel_loss: PixelLoss = "cross_entropy"
    class_balance: Scheme = "sqrt"
    mask_stride: int = 2
    restart: Literal["cold", "warm"] = "cold"
    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    deterministic: bool = False
    pseudo_labels: PseudoLabelling = field(default_factory=PseudoLabelling)
    propagation: Propagation = field(default_factory=Propagation)

    def __post_init__(self) -> None:
        refuse(self._faults())
        refuse(self._do_not_go_together())

    def _faults(self) -> Iterator[str]:
        for name in _COUNTS:
            value = getattr(self, name)
            if not (is_whole(value) and value >= 1) and not _open(name, value):
                yield f"trainer.{name} must be a whole number of at least 1, not {value!r}"
        for name, (least, fits) in _NUMBERS.items():
            value = getattr(self, name)
            if not (is_number(value) and fits(value)) and not _open(name, value):
                yield f"trainer.{name} must be a number {least}, not {value!r}"
        for name in _SWITCHES:
            value = getattr(self, name)
            if value is not True and value is not False:
                yield f"trainer.{name} must be true or false, not {value!r}"
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                yield (
                    f"trainer.{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {value!r}"
                    f"{nearest(str(value), choices)}"
                )

    def _do_not_go_together(self) -> Iterator[str]:
        if self.until == "plateau" and self.schedule != "one_cycle":
            yield (
                f"trainer.schedule={self.schedule} needs a length, and trainer.until=plateau has none; leave one out"
            )
        if self.devices > 1 and self.until == "plateau":
            yield (
                f"trainer.until=plateau trains on one device, not on {self.devices}; set trainer.devices=1, or give "
                "the length by trainer.until=epochs or steps"
            )
        for name in ("pseudo_labels", "propagation"):
            if self.devices > 1 and getattr(self, name).is_on:
                yield (
                    f"trainer.{name} trains on one device, not on {self.devices}; set trainer.devices=1, or "
                    f"trainer.{name}.weight=0"
                )
        if self.devices > 1 and self.strategy not in ("auto", "ddp_spawn"):
            yield f"trainer.strategy={self.strategy} would run the loop once per device; use ddp_spawn"
        if self.devices == 1 and self.strategy.startswith("ddp"):
            yield (
                f"trainer.strategy={self.strategy} is for several devices, and trainer.devices is 1; set "
                "trainer.strategy=auto, or more devices"
            )

    def check(self, val_frames: int) -> None:
        """Refuse to hold labelled frames out from a model that has learnt them.

        Args:
            val_frames: in the split ``val``.

        Raises:
            ValueError: ``val`` decides, there is none, and a round goes on from the weights of the round before.
        """
        if self.until == "plateau" and self.restart == "warm" and not val_frames:
            raise ValueError(
                "trainer.until=plateau holds out some of the labelled frames where no frame is in the split val, and "
                "trainer.restart=warm goes on from weights that have learnt them: name patients or videos for val by "
                "the data set's option for it, such as data.val_patients, or set trainer.restart=cold"
            )

    @property
    def learns_from_unlabelled(self) -> bool:
        """Whether frames without a label teach anything."""
        return self.pseudo_labels.is_on or self.propagation.is_on

    def length(self, frames: int) -> int:
        """Optimiser steps at most, with ``frames`` labelled."""
        if self.until == "plateau":
            return self.most_steps
        if self.until == "steps":
            return self.steps
        return math.ceil(self.epochs * frames / self.frames_per_step)

    @property
    def frames_per_step(self) -> int:
        """Frames whose gradients make one optimiser step."""
        return self.batch_size * self.devices * self.accumulate

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


_COUNTS = (
    "steps",
    "epochs",
    "patience",
    "measure_every",
    "most_steps",
    "batch_size",
    "accumulate",
    "mask_stride",
    "devices",
    "warm_up_steps",
)
_MAY_BE_NULL = ("warm_up_steps", "encoder_learning_rate", "layer_decay", "clip", "ema")
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("above 0", lambda x: x > 0),
    "weight_decay": ("of at least 0", lambda x: x >= 0),
    "encoder_learning_rate": ("above 0, or null", lambda x: x > 0),
    "layer_decay": ("above 0 and at most 1, or null", lambda x: 0 < x <= 1),
    "clip": ("above 0, or null", lambda x: x > 0),
    "ema": ("above 0 and below 1, or null", lambda x: 0 < x < 1),
}
_SWITCHES = ("deterministic",)
_CHOICES: dict[str, tuple[str, ...]] = {
    "until": ("steps", "epochs", "plateau"),
    "class_balance": ("none", "sqrt", "inverse"),
    "restart": ("cold", "warm"),
    "schedule": ("one_cycle", "cosine"),
    "decay": ("all", "matrices"),
    "frame_loss": get_args(FrameLoss),
    "pixel_loss": get_args(PixelLoss),
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "precision": ("32-true", "16-mixed", "bf16-mixed"),
}


def _open(name: str, value: object) -> bool:
    return value is None and name in _MAY_BE_NULL
