"""Train all heads on the labelled frames, by Lightning."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mtal.learning.inputs import Inputs, ModelInput
from mtal.learning.training_progress import TrainingProgress
from mtal.models import MultiTaskModel
from mtal.tasks.class_balance import Scheme, class_weights
from mtal.tasks.task import Task

Weighting = Literal["fixed", "uncertainty"]


@dataclass(frozen=True)
class TrainerSettings:
    """How every round trains.

    Args:
        steps: optimiser steps per round, the same however many frames are labelled.
        batch_size: frames per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        class_balance: ``none``, ``sqrt`` or ``inverse``; see :func:`mtal.tasks.class_balance.class_weights`.
        flip: mirror each frame left to right (labels too) with probability ½.
        restart: ``cold`` trains from the initial weights each round, ``warm`` goes on from the round before.
        accelerator, devices, strategy, precision: as Lightning's Trainer takes them. Several devices train by
            ``ddp_spawn``, since the loop around the training must stay one process.

    Raises:
        ValueError: a number is out of range or a choice unknown.
    """

    steps: int = 120
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    class_balance: Scheme = "sqrt"
    flip: bool = True
    restart: Literal["cold", "warm"] = "cold"
    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: str = "32-true"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "devices"):
            if getattr(self, name) < 1:
                raise ValueError(f"trainer.{name} must be at least 1, not {getattr(self, name)}")
        if self.restart not in ("cold", "warm"):
            raise ValueError(f"trainer.restart must be cold or warm, not {self.restart!r}")
        if self.devices > 1 and self.strategy not in ("auto", "ddp_spawn"):
            raise ValueError(f"trainer.strategy={self.strategy} would run the loop once per device; use ddp_spawn")

    def device(self) -> torch.device:
        """Where scoring and evaluation run."""
        if self.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")


class MultiTaskLoss(nn.Module):
    """Weighted sum of the heads' losses.

    ``fixed``: Σ w_t L_t. ``uncertainty``: Σ w_t (exp(−s_t) L_t + s_t / 2) with learnt log-variances s_t, after Kendall,
    Gal and Cipolla, CVPR 2018; a head without a label in the batch is left out of it, or its s_t would drift.
    """

    def __init__(self, tasks: Sequence[Task], weights: Mapping[str, Tensor | None], weighting: Weighting) -> None:
        super().__init__()
        if weighting not in ("fixed", "uncertainty"):
            raise ValueError(f"tasks.weighting must be fixed or uncertainty, not {weighting!r}")
        self.tasks = list(tasks)
        self.weighting = weighting
        for task in tasks:
            self.register_buffer(f"class_weights_{task.name}", weights[task.name], persistent=False)
        self.log_variance = nn.Parameter(torch.zeros(len(self.tasks)), requires_grad=weighting == "uncertainty")

    def forward(self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss, and each head's own."""
        losses = {
            t.name: t.loss(logits[t.name], targets[t.name], getattr(self, f"class_weights_{t.name}"))
            for t in self.tasks
        }
        total = torch.stack([task.weight * losses[task.name] for task in self.tasks])  # [T]
        if self.weighting == "uncertainty":
            annotated = torch.stack([(targets[t.name] != 255).any() for t in self.tasks])  # [T]
            fixed = torch.tensor([t.weight for t in self.tasks], device=total.device)
            total = torch.where(annotated, torch.exp(-self.log_variance) * total + fixed * self.log_variance / 2, 0.0)
        return total.sum(), losses


class MultiTaskModule(lightning.LightningModule):
    """Lightning's view of the model: one step, one optimiser, one schedule."""

    def __init__(self, model: MultiTaskModel, loss: MultiTaskLoss, settings: TrainerSettings) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.settings = settings

    def training_step(self, batch: tuple[ModelInput, dict[str, Tensor]], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        inputs, targets = batch
        if self.settings.flip:
            inputs, targets = mirror_half(inputs, targets)
        output = self.model(inputs)
        total, losses = self.loss({name: head.logits for name, head in output.heads.items()}, targets)
        for name, value in losses.items():
            self.log(f"loss/{name}", value, prog_bar=False, batch_size=self.settings.batch_size)
        return total

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, self.settings.learning_rate, weight_decay=self.settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.settings.learning_rate, total_steps=self.settings.steps, pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def mirror_half(inputs: ModelInput, targets: Mapping[str, Tensor]) -> tuple[ModelInput, dict[str, Tensor]]:
    """Mirror a random half of the batch left to right: images or feature maps, and masks with them."""
    first = inputs if isinstance(inputs, Tensor) else inputs[0]
    chosen = torch.rand(len(first), device=first.device) < 0.5  # [N]

    def mirror(x: Tensor, spatial: bool) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x) if spatial else x

    flipped = mirror(inputs, True) if isinstance(inputs, Tensor) else [mirror(x, x.ndim == 4) for x in inputs]
    return flipped, {name: mirror(y, y.ndim >= 3) for name, y in targets.items()}


class LabelledFrames(Dataset[tuple[ModelInput, dict[str, Tensor]]]):
    """Labelled frames in a seeded order: one random permutation after another, cut to steps x batch size.

    The order is laid down beforehand, so there is no sampler whose state a resume would have to restore.
    """

    def __init__(
        self, inputs: Inputs, positions: np.ndarray, targets: Mapping[str, np.ndarray], length: int, seed: int
    ) -> None:
        self.inputs = inputs
        self.positions = positions
        self.targets = dict(targets)
        generator = np.random.default_rng(seed)
        passes = [generator.permutation(len(positions)) for _ in range(math.ceil(length / len(positions)))]
        self.order = np.concatenate(passes)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, item: int) -> tuple[ModelInput, dict[str, Tensor]]:
        return self.__getitems__([item])

    def __getitems__(self, items: list[int]) -> tuple[ModelInput, dict[str, Tensor]]:
        """A whole batch at once."""
        rows = self.order[items]
        targets = {name: torch.from_numpy(y[rows]) for name, y in self.targets.items()}
        return self.inputs.batch(self.positions[rows]), targets


def _as_it_is(batch: Any) -> Any:
    return batch


def fit(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    targets: Mapping[str, np.ndarray],
    settings: TrainerSettings,
    *,
    weighting: Weighting = "fixed",
    seed: int = 0,
) -> None:
    """Train ``model`` in place on the frames at ``positions`` with their ``targets``.

    Same arguments on the same machine give the same weights to the bit.

    Args:
        model: left in evaluation mode on the CPU or on its device.
        tasks: heads to train.
        inputs: model inputs of all frames.
        positions: ``[n]`` labelled frames.
        targets: by task, uint8 ``[n, ...]``, 255 = not annotated.
        settings: length, rates, devices.
        weighting: how the heads' losses add up.
        seed: of batch order and dropout.

    Raises:
        ValueError: there is no labelled frame.
        FloatingPointError: the loss is not finite.
    """
    if len(positions) == 0:
        raise ValueError("there is no labelled frame to train on")
    weights = {t.name: class_weights(t, targets[t.name], settings.class_balance) for t in tasks}
    module = MultiTaskModule(model, MultiTaskLoss(tasks, weights, weighting), settings)
    wanted = {t.name: targets[t.name] for t in tasks}
    length = settings.steps * settings.batch_size * settings.devices
    data = LabelledFrames(inputs, positions, wanted, length, seed)
    loader = DataLoader(data, settings.batch_size, shuffle=False, collate_fn=_as_it_is)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # hardware banners would break the round table
    lightning.seed_everything(seed % 2**32, workers=True, verbose=False)
    trainer = lightning.Trainer(
        max_steps=settings.steps,
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy="ddp_spawn" if settings.devices > 1 else settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]  # Lightning checks the string
        callbacks=[TrainingProgress()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
    )
    model.train()
    with warnings.catch_warnings():
        # batches are cut from memory-mapped arrays, so loader workers would only copy them between processes
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(module, loader)
    model.eval()
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError("training diverged: weights are not finite; lower trainer.learning_rate")
