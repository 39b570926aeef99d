"""Train all heads on the labelled frames, by Lightning."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from mtal.datasets.masks import SomeLabels
from mtal.learning.augmentation import Augmentation
from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.labelled_frames import Batch, LabelledFrames
from mtal.learning.multi_task_loss import MultiTaskLoss, Weighting
from mtal.learning.optimiser import parameter_groups, schedule
from mtal.learning.plateau import AsBefore, Course, Measure, UntilPlateau
from mtal.learning.seeds import integer_seed
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training_progress import TrainingProgress
from mtal.learning.views import AugmentedInputs
from mtal.learning.weight_average import WeightAverage
from mtal.models import ModelOutput, MultiTaskModel
from mtal.models.determinism import deterministic
from mtal.scoring.inputs import Inputs
from mtal.tasks.class_balance import class_weights
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.task import Task


@dataclass(frozen=True)
class Training:
    """How a training went.

    Args:
        steps: optimiser steps that were made.
        passes: over the frames that were trained on.
        kept_step: step whose weights were kept; the last one, or the best one where ``val`` decides.
        converged: whether the score of ``val`` had stopped rising; ``None`` where nothing looked at it.
        scores: step and joint score of each measurement of ``val``.
        val: all metrics of ``val`` with the weights that were kept, where they could be measured.
        judged_on: what served as ``val``, in words.
        course: to the weights that were kept, where ``val`` decided.
    """

    steps: int
    passes: float
    kept_step: int
    converged: bool | None = None
    scores: Sequence[tuple[int, float]] = ()
    val: Mapping[str, float] | None = None
    judged_on: str = ""
    course: Course | None = None

    def record(self) -> dict[str, Any]:
        """What the run folder keeps of it."""
        scores = [[step, None if math.isnan(score) else score] for step, score in self.scores]
        told = {"steps": self.steps, "passes": round(self.passes, 2), "kept_step": self.kept_step}
        return {**told, "converged": self.converged, "judged_on": self.judged_on, "val_scores": scores}


class MultiTaskModule(lightning.LightningModule):
    """Lightning's view of the model: one step, one optimiser, one schedule."""

    def __init__(
        self,
        model: MultiTaskModel,
        loss: MultiTaskLoss,
        settings: TrainerSettings,
        steps: int,
        augmentation: Augmentation | None = None,
        derived_weights: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.derived_weights = derived_weights
        self.augmentation = augmentation
        self.model = model
        self.loss = loss
        self.settings = settings
        self.steps = steps
        self.rate = 1.0  # share of the learning rate, where the schedule has no known end

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

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        output, targets = self._see(batch)
        grid = PixelGrid.drawn(self.settings.mask_stride)
        total, _ = self.loss({name: head.logits for name, head in output.heads.items()}, targets, grid)
        if output.predicted_losses is not None:
            total = total + self.loss.of_prediction(output, targets, grid)
        for derived, weight in zip(batch.beside, self.derived_weights, strict=True):
            seen, known = self._see(derived)
            said = {name: head.logits for name, head in seen.heads.items()}
            total = total + weight * self.loss.of_derived(said, known, grid)
        return total

    def _see(self, batch: Batch) -> tuple[ModelOutput, dict[str, Tensor]]:
        """What the model says of views of a batch, and the labels of these views."""
        inputs, targets = batch.inputs, batch.targets
        if batch.draw is not None:
            assert self.augmentation is not None
            masks = {t.name for t in self.loss.tasks if t.support == "pixel"}
            targets = {t: self.augmentation.masks(y, batch.draw) if t in masks else y for t, y in targets.items()}
            if isinstance(inputs, Tensor):  # levels are of views already
                inputs = self.augmentation.images(inputs, batch.draw)
        return self.model(inputs), targets

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
        if gradient_clip_val is None:
            return
        ours = set(apart.parameters())
        nn.utils.clip_grad_norm_(list(apart.parameters()), gradient_clip_val)
        nn.utils.clip_grad_norm_([p for p in self.parameters() if p not in ours], gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """AdamW, see :mod:`mtal.learning.optimiser`."""
        backbone = self.model.encoder.backbone.model
        groups = parameter_groups(self, backbone, self.settings)
        # one pass instead of a dozen per parameter; Lightning clips no gradients for it in mixed precision
        mixed, device = self.settings.precision.endswith("mixed"), groups[0]["params"][0].device.type
        optimizer = torch.optim.AdamW(groups, fused=not mixed and device in ("cpu", "cuda"))
        rates = schedule(optimizer, self.settings, self.steps, lambda: self.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """One of timm's is told how many steps there were."""
        if isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler):
            scheduler.step()
        else:
            scheduler.step_update(self.global_step + 1)


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
    measure: Measure | None = None,
    course: Course | None = None,
    derived: Sequence[DerivedLabels] = (),
) -> Training:
    """Train ``model`` in place on the frames at ``positions`` with their ``targets``.

    Same arguments on the same machine give the same weights to the bit, on a GPU if ``settings.deterministic``.

    Args:
        model: left in evaluation mode on the CPU or on its device.
        tasks: heads to train.
        inputs: model inputs of all frames; :class:`~mtal.learning.views.AugmentedInputs` for views of them.
        positions: ``[n]`` labelled frames.
        targets: by task, uint8 ``[n, ...]``, 255 = not annotated.
        settings: length, rates, devices.
        weighting: how the heads' losses add up.
        seed: of batch order and dropout.
        measure: gives the metrics of ``val``, where ``settings`` want to train until they stop rising.
        course: to be followed in its place; nothing is measured then.
        derived: frames that teach beside the labelled ones.

    Raises:
        ValueError: there is no labelled frame or no ``measure`` that is needed, or this machine can't train as
            ``settings`` want it.
        FloatingPointError: the loss is not finite.
    """
    if len(positions) == 0:
        raise ValueError("there is no labelled frame to train on")
    average = None if settings.ema is None else WeightAverage(settings.ema)
    plateau = None
    if settings.until == "plateau" and course is None:
        if measure is None:
            raise ValueError("trainer.until=plateau needs val to be measured, and there is nothing to measure it by")
        judged = None if average is None else lambda: average.model
        plateau = UntilPlateau(measure, settings.patience, settings.measure_every, judged)
    weights = {t.name: class_weights(t, targets[t.name], settings.class_balance) for t in tasks}
    steps = settings.length(len(positions)) if course is None else course.steps
    loss = MultiTaskLoss(tasks, weights, weighting, settings.frame_loss, settings.pixel_loss)
    augmentation = None
    if isinstance(inputs, AugmentedInputs):
        augmentation = inputs.augmentation
        inputs.prepare(model, np.concatenate([positions, *(d.positions for d in derived)]), settings.device())
    derived = [some for some in derived if len(some)]
    module = MultiTaskModule(model, loss, settings, steps, augmentation, [some.weight for some in derived])
    per_step = settings.frames_per_step
    beside = [
        _beside(some, inputs, settings, steps, integer_seed(seed, k, some.name)) for k, some in enumerate(derived)
    ]
    data = LabelledFrames(inputs, positions, targets, steps * per_step, seed, beside=beside)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # hardware banners would break the round table
    lightning.seed_everything(seed % 2**32, workers=True, verbose=False)
    model.train()
    # spawned processes hand the weights back through a file in the trainer's root, which two runs must not share
    with (
        warnings.catch_warnings(),
        deterministic(settings.deterministic),
        TemporaryDirectory(prefix="mtal-") as root,
    ):
        callbacks = (average, plateau, None if course is None else AsBefore(course))
        trainer = _trainer(model, settings, steps, root, [c for c in callbacks if c is not None])
        trainer.fit(module, data.loader(settings.batch_size))
    model.eval()
    if not all(p.isfinite().all() for p in model.parameters()):
        raise FloatingPointError("training diverged: weights are not finite; lower trainer.learning_rate")
    made = trainer.global_step if settings.devices == 1 else steps  # several processes count theirs and are gone
    passes = made * per_step / len(positions)
    if plateau is None:
        return Training(made, passes, made)
    plateau.restore(model)
    kept = plateau.best_step or made
    slower = plateau.slower_from if plateau.slower_from is not None and plateau.slower_from < kept else None
    course = Course(kept, slower)
    return Training(made, passes, kept, plateau.converged, plateau.scores, plateau.best or None, course=course)


def _beside(some: DerivedLabels, inputs: Inputs, settings: TrainerSettings, steps: int, seed: int) -> LabelledFrames:
    in_a_batch = max(1, round(some.share * settings.batch_size))
    length = steps * settings.accumulate * in_a_batch
    return LabelledFrames(inputs, some.positions, some.targets, length, seed, always_changed=some.always_changed)


def _trainer(
    model: MultiTaskModel, settings: TrainerSettings, steps: int, root: str, callbacks: Sequence[lightning.Callback]
) -> lightning.Trainer:
    strategy = settings.strategy
    if settings.devices > 1:
        # a ViT's last norm and classifier stand behind the levels that are used, and get no gradient
        whole = model.frozen or not model.encoder.is_vit
        strategy = "ddp_spawn" if whole else "ddp_spawn_find_unused_parameters_true"
    try:
        return lightning.Trainer(
            max_steps=steps,
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=strategy,
            precision=settings.precision,
            default_root_dir=root,
            callbacks=[TrainingProgress(), *callbacks],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=settings.clip,
            accumulate_grad_batches=settings.accumulate,
            deterministic=settings.deterministic or None,
            plugins=[LightningEnvironment()],  # the loop is one process, whatever scheduler started it
        )
    except MisconfigurationException as error:
        raise ValueError(f"the options of trainer do not go together on this machine: {error}") from error
