"""A task: the label map it learns, how much it weighs, and how logits become a loss and a posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mtal.datasets.label_map import LabelMap
from mtal.suggest import nearest
from mtal.tasks.losses import bernoulli_loss, categorical_loss
from mtal.tasks.posterior import Family, HeadOutput


@dataclass(frozen=True)
class Task:
    """One head: the meaning of its labels and its fixed weight in the training loss.

    Args:
        label_map: classes, support (frame or pixel) and whether they exclude each other.
        weight: weight of the task's loss, ≥ 0.

    Raises:
        ValueError: the weight is negative or not finite.
    """

    label_map: LabelMap
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:  # also false for NaN
            raise ValueError(f"tasks.heads.{self.name}.weight must be finite and at least 0, not {self.weight}")

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
        if self.support == "pixel" and logits.shape[-2:] != targets.shape[-2:]:
            logits = torch.nn.functional.interpolate(logits, targets.shape[-2:], mode="bilinear", align_corners=False)
        loss = categorical_loss if self.family == "categorical" else bernoulli_loss
        return loss(logits, targets, class_weights)

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


def _sites(x: Tensor) -> Tensor:  # [N, C] or [N, C, h, w] -> [N, S, C]
    return x.flatten(2).transpose(1, 2) if x.ndim > 2 else x.unsqueeze(1)


def build_tasks(label_maps: Sequence[LabelMap], heads: Mapping[str, Mapping[str, float]]) -> list[Task]:
    """The tasks named in ``heads``, in that order, with the label maps that the data set gives them.

    Raises:
        ValueError: the data set labels no such task.
    """
    known = {m.task: m for m in label_maps}
    for name in heads:
        if name not in known:
            raise ValueError(
                f"tasks.heads.{name}: this data set has no such task{nearest(name, known)}; it has {', '.join(known)}"
            )
    return [Task(known[name], **options) for name, options in heads.items()]
