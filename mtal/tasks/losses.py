"""Losses over annotated sites only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mtal.datasets.label_map import IGNORE


def nothing(logits: Tensor) -> Tensor:
    """0 with a gradient of 0: the sum of no elements, which stays 0 where ``0 * logits`` would meet 0 · ∞."""
    return logits[:0].sum()


def by_site(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and labels as cross-entropy takes them; for deterministic results one row per site.

    Over maps, torch has no deterministic kernel for GPUs, and the one for rows is slower on a CPU.
    """
    if not torch.are_deterministic_algorithms_enabled() or logits.ndim == 2:
        return logits, targets.long()
    return logits.movedim(1, -1).flatten(0, -2), targets.long().flatten()


def bernoulli_loss(logits: Tensor, targets: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """Mean of −w_c y log p − (1 − y) log(1 − p) over annotated labels.

    Args:
        logits: ``[N, C, ...]``.
        targets: uint8 of the same shape: 0, 1 or 255 (left out).
        positive_weights: ``[C]`` weight of a positive of each class.
    """
    annotated = targets != IGNORE
    if not annotated.any():
        return nothing(logits)
    y = torch.where(annotated, targets, 0).to(logits.dtype)
    weights = None
    if positive_weights is not None:
        weights = positive_weights.view(-1, *[1] * (logits.ndim - 2))  # [C, 1, ...]
    losses = functional.binary_cross_entropy_with_logits(logits, y, pos_weight=weights, reduction="none")
    return losses[annotated].mean()


def categorical_loss(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Weighted mean of −log p_y over annotated sites: Σ w_y (−log p_y) / Σ w_y.

    Args:
        logits: ``[N, C, ...]``.
        targets: uint8 ``[N, ...]``: class number or 255 (left out).
        class_weights: ``[C]``.
    """
    if not (targets != IGNORE).any():
        return nothing(logits)
    return functional.cross_entropy(*by_site(logits, targets), weight=class_weights, ignore_index=IGNORE)


def bernoulli_frame_losses(logits: Tensor, targets: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """:func:`bernoulli_loss` of each frame by itself, ``[N]``; 0 for a frame without an annotated label."""
    annotated = targets != IGNORE
    y = torch.where(annotated, targets, 0).to(logits.dtype)
    weights = None if positive_weights is None else positive_weights.view(-1, *[1] * (logits.ndim - 2))  # [C, 1, ...]
    losses = functional.binary_cross_entropy_with_logits(logits, y, pos_weight=weights, reduction="none")
    total = torch.where(annotated, losses, 0.0).flatten(1).sum(dim=1)  # [N]
    return total / annotated.flatten(1).sum(dim=1).clamp(min=1)


def categorical_frame_losses(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """:func:`categorical_loss` of each frame by itself, ``[N]``; 0 for a frame without an annotated site."""
    losses = functional.cross_entropy(
        *by_site(logits, targets), weight=class_weights, ignore_index=IGNORE, reduction="none"
    ).view(targets.shape)  # [N, ...], weighted, 0 where nothing is annotated
    annotated = targets != IGNORE
    if class_weights is None:
        weights = annotated.to(losses.dtype)
    else:
        weights = torch.where(annotated, class_weights[torch.where(annotated, targets, 0).long()], 0.0)
    total = weights.reshape(len(weights), -1).sum(dim=1)  # [N]
    return losses.reshape(len(losses), -1).sum(dim=1) / torch.where(total > 0, total, 1.0)
