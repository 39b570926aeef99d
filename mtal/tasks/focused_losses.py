"""Losses beside cross-entropy, over annotated sites only: focal loss and soft Dice.

Letters: N frames, C classes; logits ``[N, C, ...]``, labels uint8 ``[N, C, ...]`` (Bernoulli) or ``[N, ...]``
(categorical), 255 = not annotated.
"""

from __future__ import annotations

import torch
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from mtal.datasets.label_map import IGNORE
from mtal.tasks.losses import by_site, nothing
from mtal.tasks.posterior import Family

GAMMA = 2.0
"""Of the focal loss, as its authors have it."""


def focal_loss(family: Family, logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean over annotated sites of (1 − p_y)² times the cross-entropy: sites that are right already count less.

    Lin et al., ICCV 2017; over a softmax for classes that exclude each other.

    Args:
        family: whether they do.
        logits: ``[N, C, ...]``.
        targets: labels.
        class_weights: ``[C]``, as cross-entropy takes them: of a positive (Bernoulli), or of a class (categorical), by
            whose sum the mean is then taken.
    """
    annotated = targets != IGNORE
    if not annotated.any():
        return nothing(logits)
    y = torch.where(annotated, targets, 0)
    if family == "categorical":
        losses = functional.cross_entropy(*by_site(logits, targets), ignore_index=IGNORE, reduction="none")
        losses = losses.view(targets.shape)  # [N, ...]
        losses = (-torch.expm1(-losses)) ** GAMMA * losses
        weights = annotated if class_weights is None else torch.where(annotated, class_weights[y.long()], 0.0)
        return (losses * weights).sum() / weights.sum()
    losses = sigmoid_focal_loss(logits, y.to(logits.dtype), alpha=-1, gamma=GAMMA)
    if class_weights is not None:
        losses = losses * torch.where(y == 1, class_weights.view(-1, *[1] * (logits.ndim - 2)), 1.0)
    return losses[annotated].mean()


def dice_loss(family: Family, logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over classes of 1 − 2 Σ p y / (Σ p + Σ y), sums over the annotated pixels of a batch.

    Milletari et al., 3DV 2016, by segmentation-models-pytorch. A class that no annotated pixel of the batch has adds 0
    and no gradient.

    Args:
        family: softmax or sigmoids.
        logits: ``[N, C, H, W]``.
        targets: labels.
    """
    mode = "multiclass" if family == "categorical" else "multilabel"
    return DiceLoss(mode, from_logits=True, ignore_index=IGNORE)(logits.float(), targets.long())
