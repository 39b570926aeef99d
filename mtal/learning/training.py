"""Train all heads on the labelled frames, by Lightning."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import SomeLabels
from mtal.learning.determinism import deterministic
from mtal.learning.inputs import Inputs, ModelInput
from mtal.learning.training_progress import TrainingProgress
from mtal.models import ModelOutput, MultiTaskModel, ranking_loss
from mtal.suggest import nearest
from mtal.tasks.class_balance import Scheme, class_weights
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.task import Task

Weighting = Literal["fixed", "uncertainty"]
WHOLE = PixelGrid()
"""All of a mask."""


@dataclass(frozen=True)
class TrainerSettings:
    """How every round trains.

    Args:
        steps: optimiser steps per round, the same however many frames are labelled.
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
        ValueError: a value is of another type, out of range or no choice.
    """

    steps: int = 150
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
        for name in ("steps", "batch_size", "mask_stride", "devices"):
            value = getattr(self, name)
            if not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
                raise ValueError(f"trainer.{name} must be a whole number of at least 1, not {value!r}")
        for name, least in (("learning_rate", "above 0"), ("weight_decay", "of at least 0")):
            value = getattr(self, name)
            if not _is_number(value) or value < 0 or (value == 0 and least == "above 0"):
                raise ValueError(f"trainer.{name} must be a number {least}, not {value!r}")
        for name in ("flip", "deterministic"):
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
        if self.devices > 1 and self.strategy not in ("auto", "ddp_spawn"):
            raise ValueError(f"trainer.strategy={self.strategy} would run the loop once per device; use ddp_spawn")

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


_CHOICES: dict[str, tuple[str, ...]] = {
    "class_balance": ("none", "sqrt", "inverse"),
    "restart": ("cold", "warm"),
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "precision": ("32-true", "16-mixed", "bf16-mixed"),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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

    def forward(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], grid: PixelGrid = WHOLE
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss, and each head's own, of masks at the pixels of ``grid``."""
        kept = {t.name: t.at(grid, logits[t.name], targets[t.name]) for t in self.tasks}
        losses = {t.name: t.loss(*kept[t.name], getattr(self, f"class_weights_{t.name}")) for t in self.tasks}
        total = torch.stack([task.weight * losses[task.name] for task in self.tasks])  # [T]
        if self.weighting == "uncertainty":
            annotated = torch.stack([(kept[t.name][1] != IGNORE).any() for t in self.tasks])  # [T]
            fixed = torch.tensor([t.weight for t in self.tasks], device=total.device)
            total = torch.where(annotated, torch.exp(-self.log_variance) * total + fixed * self.log_variance / 2, 0.0)
        return total.sum(), losses

    def of_prediction(self, output: ModelOutput, targets: Mapping[str, Tensor], grid: PixelGrid = WHOLE) -> Tensor:
        """Sum over heads of how badly the predicted losses rank the frames of the batch by their true ones.

        See :func:`~mtal.models.ranking_loss`; its weight and margin are 1. Frames without an annotation are left out.
        """
        assert output.predicted_losses is not None
        total = torch.zeros((), device=output.shared.device)
        for task in self.tasks:
            logits, y = task.at(grid, output.heads[task.name].logits.detach(), targets[task.name])
            annotated = task.annotated(y)  # [N]
            losses = task.frame_losses(logits, y, getattr(self, f"class_weights_{task.name}"))  # [N]
            total = total + ranking_loss(output.predicted_losses[task.name][annotated], losses[annotated])
        return total


class MultiTaskModule(lightning.LightningModule):
    """Lightning's view of the model: one step, one optimiser, one schedule."""

    def __init__(self, model: MultiTaskModel, loss: MultiTaskLoss, settings: TrainerSettings) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.settings = settings

    def setup(self, stage: str) -> None:
        """What each process needs: those of several devices come by here as well."""
        if self.settings.deterministic:
            torch.use_deterministic_algorithms(True)
        # batches are cut from memory-mapped arrays, so loader workers would only copy them between processes
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # a frozen encoder stays in evaluation mode on purpose
        warnings.filterwarnings(
            "ignore", message=r"Found \d+ module\(s\) in eval mode", module=r"lightning\.pytorch\.loops\.fit_loop"
        )
        # between Lightning and torch; nothing that a user of ours could do about it
        warnings.filterwarnings(
            "ignore",
            message=r"`isinstance\(treespec, LeafSpec\)` is deprecated",
            module=r"lightning\.pytorch\.utilities\._pytree",
        )

    def training_step(self, batch: tuple[ModelInput, dict[str, Tensor]], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        inputs, targets = batch
        if self.settings.flip:
            inputs, targets = mirror_half(inputs, targets)
        output = self.model(inputs)
        grid = PixelGrid.drawn(self.settings.mask_stride)
        total, losses = self.loss({name: head.logits for name, head in output.heads.items()}, targets, grid)
        if output.predicted_losses is not None:
            losses["prediction"] = self.loss.of_prediction(output, targets, grid)
            total = total + losses["prediction"]
        for name, value in losses.items():
            self.log(f"loss/{name}", value, prog_bar=False, batch_size=self.settings.batch_size)
        return total

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the loss prediction by itself, so that its gradient does not shorten the steps of all the others."""
        apart = self.model.loss_prediction
        if apart is None:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        assert gradient_clip_val is not None
        ours = set(apart.parameters())
        nn.utils.clip_grad_norm_(list(apart.parameters()), gradient_clip_val)
        nn.utils.clip_grad_norm_([p for p in self.parameters() if p not in ours], gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        # one pass instead of a dozen per parameter; Lightning clips no gradients for it in mixed precision
        fused = not self.settings.precision.endswith("mixed") and parameters[0].device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            parameters, self.settings.learning_rate, weight_decay=self.settings.weight_decay, fused=fused
        )
        steps = max(self.settings.steps, 3)  # a single step would be the end of the cycle, where the rate is 0
        warm_up = max(0.2, 2 / steps)  # and a warm-up of a single step divides by zero
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.settings.learning_rate, total_steps=steps, pct_start=warm_up
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
        self, inputs: Inputs, positions: np.ndarray, targets: Mapping[str, SomeLabels], length: int, seed: int
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
    targets: Mapping[str, SomeLabels],
    settings: TrainerSettings,
    *,
    weighting: Weighting = "fixed",
    seed: int = 0,
) -> None:
    """Train ``model`` in place on the frames at ``positions`` with their ``targets``.

    Same arguments on the same machine give the same weights to the bit, on a GPU if ``settings.deterministic``.

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
        ValueError: there is no labelled frame, or this machine can't train as ``settings`` want it.
        FloatingPointError: the loss is not finite.
    """
    if len(positions) == 0:
        raise ValueError("there is no labelled frame to train on")
    weights = {t.name: class_weights(t, targets[t.name], settings.class_balance) for t in tasks}
    module = MultiTaskModule(model, MultiTaskLoss(tasks, weights, weighting), settings)
    length = settings.steps * settings.batch_size * settings.devices
    data = LabelledFrames(inputs, positions, targets, length, seed)
    loader = DataLoader(data, settings.batch_size, shuffle=False, collate_fn=_as_it_is)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # hardware banners would break the round table
    lightning.seed_everything(seed % 2**32, workers=True, verbose=False)
    model.train()
    # spawned processes hand the weights back through a file in the trainer's root, which two runs must not share
    with (
        warnings.catch_warnings(),
        deterministic(settings.deterministic),
        TemporaryDirectory(prefix="mtal-") as root,
    ):
        _trainer(model, settings, root).fit(module, loader)
    model.eval()
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError("training diverged: weights are not finite; lower trainer.learning_rate")


def _trainer(model: MultiTaskModel, settings: TrainerSettings, root: str) -> lightning.Trainer:
    strategy = settings.strategy
    if settings.devices > 1:
        # a ViT's last norm and classifier stand behind the levels that are used, and get no gradient
        whole = model.frozen or not model.encoder.is_vit
        strategy = "ddp_spawn" if whole else "ddp_spawn_find_unused_parameters_true"
    try:
        return lightning.Trainer(
            max_steps=settings.steps,
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=strategy,
            precision=settings.precision,
            default_root_dir=root,
            callbacks=[TrainingProgress()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
            deterministic=settings.deterministic or None,
            plugins=[LightningEnvironment()],  # the loop is one process, whatever scheduler started it
        )
    except MisconfigurationException as error:
        raise ValueError(f"the options of trainer do not go together on this machine: {error}") from error
