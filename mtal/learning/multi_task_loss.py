"""What training makes small: the heads' losses, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mtal.datasets.label_map import IGNORE
from mtal.models import ModelOutput, ranking_loss
from mtal.tasks.focused_losses import dice_loss, focal_loss
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.task import Task

Weighting = Literal["fixed", "uncertainty"]
FrameLoss = Literal["cross_entropy", "focal"]
PixelLoss = Literal["cross_entropy", "focal", "dice", "dice_cross_entropy"]
WHOLE = PixelGrid()
"""All of a mask."""


def check_weighting(weighting: str) -> None:
    """Refuse what is no :data:`Weighting`.

    Raises:
        ValueError: it is none.
    """
    if weighting not in get_args(Weighting):
        raise ValueError(f"tasks.weighting must be {' or '.join(get_args(Weighting))}, not {weighting!r}")


class MultiTaskLoss(nn.Module):
    """Weighted sum of the heads' losses.

    ``fixed``: Σ w_t L_t. ``uncertainty``: Σ w_t (exp(−s_t) L_t + s_t / 2) with learnt log-variances s_t, after Kendall,
    Gal and Cipolla, CVPR 2018; a head without a label in the batch is left out of it, or its s_t would drift. L_t is
    cross-entropy, focal loss or soft Dice, see :mod:`mtal.tasks.focused_losses`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        weights: Mapping[str, Tensor | None],
        weighting: Weighting,
        frame_loss: FrameLoss = "cross_entropy",
        pixel_loss: PixelLoss = "cross_entropy",
    ) -> None:
        super().__init__()
        check_weighting(weighting)
        self.tasks = list(tasks)
        self.weighting = weighting
        self.kind = {"frame": frame_loss, "pixel": pixel_loss}
        for task in tasks:
            self.register_buffer(f"class_weights_{task.name}", weights[task.name], persistent=False)
        self.log_variance = nn.Parameter(torch.zeros(len(self.tasks)), requires_grad=weighting == "uncertainty")

    def forward(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], grid: PixelGrid = WHOLE
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss, and each head's own, of masks at the pixels of ``grid``."""
        kept = {t.name: t.at(grid, logits[t.name], targets[t.name]) for t in self.tasks}
        losses = {t.name: self._of_head(t, *kept[t.name]) for t in self.tasks}
        total = torch.stack([task.weight * losses[task.name] for task in self.tasks])  # [T]
        if self.weighting == "uncertainty":
            annotated = torch.stack([(kept[t.name][1] != IGNORE).any() for t in self.tasks])  # [T]
            fixed = torch.tensor([t.weight for t in self.tasks], device=total.device)
            total = torch.where(annotated, torch.exp(-self.log_variance) * total + fixed * self.log_variance / 2, 0.0)
        return total.sum(), losses

    def _of_head(self, task: Task, logits: Tensor, targets: Tensor) -> Tensor:
        weights, kind = getattr(self, f"class_weights_{task.name}"), self.kind[task.support]
        if kind == "cross_entropy":
            return task.loss(logits, targets, weights)
        logits = task.at_the_size_of(targets, logits)
        if kind == "focal":
            return focal_loss(task.family, logits, targets, weights)
        dice = dice_loss(task.family, logits, targets)
        return dice if kind == "dice" else dice + task.loss(logits, targets, weights)

    def of_derived(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], grid: PixelGrid = WHOLE
    ) -> Tensor:
        """Loss on labels that nobody gave: as the labelled frames', but each head's times the share that it knows.

        So the mean is over all sites, those without a label among them, and a batch of which little is known counts
        little (Sohn et al., FixMatch, NeurIPS 2020). Learnt weights of the heads are taken as they are.
        """
        total = torch.zeros((), device=self.log_variance.device)
        for task, log_variance in zip(self.tasks, self.log_variance.detach(), strict=True):
            x, y = task.at(grid, logits[task.name], targets[task.name])
            known = (y != IGNORE).float().mean()
            total = total + task.weight * torch.exp(-log_variance) * known * self._of_head(task, x, y)
        return total

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
