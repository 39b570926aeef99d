"""A task: the label map it learns, how much it weighs, and how logits become a loss and a posterior."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.refusals import Refusals, refuse
from mtal.suggest import nearest
from mtal.tasks.losses import (
    bernoulli_frame_losses,
    bernoulli_loss,
    categorical_frame_losses,
    categorical_loss,
)
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.posterior import Family, HeadOutput


@dataclass(frozen=True)
class Task:
    """One head: the meaning of its labels and its fixed weight in the training loss.

    Args:
        label_map: classes, support (frame or pixel) and whether they exclude each other.
        weight: weight of the task's loss, ≥ 0.

    Raises:
        ValueError: the weight is negative or not finite, or there is one class only of those that exclude each other.
    """

    label_map: LabelMap
    weight: float = 1.0

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 <= self.weight < math.inf:  # also false for NaN
            yield f"tasks.heads.{self.name}.weight must be finite and at least 0, not {self.weight}"
        if self.label_map.exclusive and len(self.classes) < 2:
            yield (
                f"task {self.name!r}: {self.classes[0]!r} is the only one of its classes, which exclude each other, so "
                "there is nothing to tell apart; name a second one, such as the background"
            )

    @property
    def name(self) -> str:
        """Name of the task, such as ``"tools"``."""
        return self.label_map.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.label_map.classes

    @property
    def support(self) -> Literal["frame", "pixel"]:
        """One site per frame, or one per pixel."""
        return self.label_map.support

    @property
    def family(self) -> Family:
        """``"categorical"`` where classes exclude each other, else ``"bernoulli"``."""
        return "categorical" if self.label_map.exclusive else "bernoulli"

    def loss(self, logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Mean loss over annotated sites; 0 (with a gradient of 0) where nothing is annotated.

        Args:
            logits: ``[N, C]`` or ``[N, C, h, w]``; a pixel head's are interpolated to the size of the mask.
            targets: uint8, 255 = not annotated. ``[N, C]`` Bernoulli or ``[N]`` categorical for a frame head,
                ``[N, H, W]`` categorical or ``[N, C, H, W]`` Bernoulli for a pixel head.
            class_weights: ``[C]``, weight of a positive (Bernoulli) or of a class (categorical).
        """
        loss = categorical_loss if self.family == "categorical" else bernoulli_loss
        return loss(self.at_the_size_of(targets, logits), targets, class_weights)

    def frame_losses(self, logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """:meth:`loss` of each frame by itself, ``[N]``; 0 where nothing of it is :meth:`annotated`.

        Args:
            logits: as for :meth:`loss`.
            targets: as for :meth:`loss`.
            class_weights: as for :meth:`loss`.
        """
        losses = categorical_frame_losses if self.family == "categorical" else bernoulli_frame_losses
        return losses(self.at_the_size_of(targets, logits), targets, class_weights)

    @staticmethod
    def annotated(targets: Tensor) -> Tensor:
        """Which frames have an annotated site, ``[N]`` bool."""
        return (targets != IGNORE).reshape(len(targets), -1).any(dim=1)

    def at(self, grid: PixelGrid, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Labels at the pixels of ``grid`` and the logits at the same pixels; a frame head's as they are.

        Args:
            grid: which pixels of the picture.
            logits: as for :meth:`loss`.
            targets: as for :meth:`loss`.
        """
        if self.support == "frame" or grid.stride == 1:
            return logits, targets
        return grid.of_logits(logits, (targets.shape[-2], targets.shape[-1])), grid.of_mask(targets)

    def at_the_size_of(self, targets: Tensor, logits: Tensor) -> Tensor:
        """A pixel head's logits, interpolated to the size of the mask; a frame head's as they are."""
        if self.support == "frame" or logits.shape[-2:] == targets.shape[-2:]:
            return logits
        return torch.nn.functional.interpolate(logits, targets.shape[-2:], mode="bilinear", align_corners=False)

    def probs(self, logits: Tensor) -> Tensor:
        """Probabilities of the same shape as ``logits``: softmax over classes, or a sigmoid each."""
        return logits.softmax(dim=1) if self.family == "categorical" else logits.sigmoid()

    def head_output(self, logits: Tensor, features: Tensor | None = None) -> HeadOutput:
        """What acquisition sees: posterior ``[N, S, C]`` and features ``[N, S, D]``.

        The sites of a pixel head are the cells of the decoder's map, row by row.
        """
        return HeadOutput(
            self.family,
            _sites(self.probs(logits)),
            features=None if features is None else _sites(features),
            grid=(logits.shape[2], logits.shape[3]) if self.support == "pixel" else None,
        )

    def members_output(self, logits: Tensor) -> HeadOutput:
        """What acquisition sees of K members: ``[K, N, C]`` or ``[K, N, C, h, w]`` to ``probs [K, N, S, C]``."""
        probs = logits.softmax(dim=2) if self.family == "categorical" else logits.sigmoid()
        if self.support == "frame":
            return HeadOutput(self.family, probs.unsqueeze(2))
        return HeadOutput(
            self.family, probs.flatten(3).transpose(2, 3), grid=(logits.shape[3], logits.shape[4])
        )  # no copy: reductions over members and classes stay fast

    def residual_of_own_answer(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """The residual p − ŷ, ŷ = argmax p (categorical) or [p > ½] (Bernoulli), of the shape of ``logits``.

        It is the gradient in the logits of the loss summed over classes, under the answer that the head itself gives.

        Args:
            logits: ``[N, C]`` or ``[N, C, h, w]``.
            temperature: of a calibrated head, whose logits are divided by it.
        """
        probs = self.probs(logits / temperature)
        if self.family == "bernoulli":
            return probs - (probs > 0.5).to(probs.dtype)
        answer = probs.max(dim=1, keepdim=True).indices  # argmax is far slower where classes lie far apart in memory
        return probs - torch.zeros_like(probs).scatter_(1, answer, 1.0)


def _sites(x: Tensor) -> Tensor:  # [N, C] or [N, C, h, w] -> [N, S, C]
    return x.flatten(2).transpose(1, 2) if x.ndim > 2 else x.unsqueeze(1)


def build_tasks(label_maps: Sequence[LabelMap], heads: Mapping[str, Mapping[str, float]]) -> list[Task]:
    """The tasks named in ``heads``, in that order, with the label maps that the data set gives them; all if none is.

    Raises:
        ValueError: the data set labels no such tasks, or they cannot be made.
    """
    known = {m.task: m for m in label_maps}
    heads = heads or {name: {} for name in known}
    refuse(
        f"tasks.heads.{name}: this data set has no such task{nearest(name, known)}; it has {', '.join(known)}: "
        f"choose the heads with tasks=…, such as tasks=all, or leave this one out with ~tasks.heads.{name}"
        for name in heads
        if name not in known
    )
    refusals, tasks = Refusals(), []
    for name, options in heads.items():
        with refusals:
            tasks.append(Task(known[name], **options))
    refusals.tell(what="wrong options")
    return tasks
