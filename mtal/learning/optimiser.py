"""AdamW with the learning rate and weight decay of each parameter, and how the rate goes from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import nn

from mtal.learning.trainer_settings import TrainerSettings

Groups = list[dict[str, Any]]
Rates = torch.optim.lr_scheduler.LRScheduler | CosineLRScheduler


def parameter_groups(whole: nn.Module, backbone: nn.Module, settings: TrainerSettings) -> Groups:
    """Parameters that learn, each group with its ``lr`` and ``weight_decay``.

    One group with ``decay="all"`` and one rate. Otherwise those of the ``backbone`` stand apart, where it learns, and
    with ``decay="matrices"`` those without weight decay: biases, and the scales and shifts of norms. ``layer_decay`` d
    multiplies the backbone's rate by dᵏ in the k-th layer from its end, as timm groups layers (Bao et al., BEiT, 2022).

    Args:
        whole: model and loss.
        backbone: timm's model in it.
        settings: rates and decay.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    backbone_rate = rate if settings.encoder_learning_rate is None else settings.encoder_learning_rate
    if settings.decay == "all" and settings.layer_decay is None and backbone_rate == rate:
        return [{"params": [p for p in whole.parameters() if p.requires_grad], "lr": rate, "weight_decay": decay}]
    inside = set(backbone.parameters())
    rest = nn.ParameterList([p for p in whole.parameters() if p not in inside])
    groups = [{**group, "lr": rate} for group in _by_decay(rest, settings)]
    if settings.layer_decay is None:
        return groups + [{**group, "lr": backbone_rate} for group in _by_decay(backbone, settings)]
    layers = param_groups_layer_decay(
        backbone,
        decay,
        weight_decay_exclude_1d=settings.decay == "matrices",
        no_weight_decay_list=_undecayed(backbone, settings),
        layer_decay=settings.layer_decay,
    )
    for group in layers:
        group["lr"] = backbone_rate * group.pop("lr_scale")  # timm's schedules would multiply the rate by it once more
    return groups + layers


def _by_decay(module: nn.Module, settings: TrainerSettings) -> Groups:
    found: Groups = param_groups_weight_decay(
        module,
        settings.weight_decay,
        weight_decay_exclude_1d=settings.decay == "matrices",
        no_weight_decay_list=_undecayed(module, settings),
    )
    return found


def _undecayed(module: nn.Module, settings: TrainerSettings) -> set[str]:
    """Names that a model of timm's wants to be left alone, such as its position embedding."""
    named = getattr(module, "no_weight_decay", None)
    return set(named()) if settings.decay == "matrices" and named is not None else set()


def schedule(
    optimizer: torch.optim.Optimizer, settings: TrainerSettings, steps: int, rate: Callable[[], float]
) -> Rates:
    """How the learning rate of each group goes.

    Where the end is known, one cycle (Smith, 2018) or, with ``schedule="cosine"``, a linear warm-up and half a cosine
    (Loshchilov and Hutter, ICLR 2017); where ``val`` decides, a linear warm-up and then what ``rate`` says.

    Args:
        optimizer: whose groups have their highest rate.
        settings: which schedule, and steps of warm-up.
        steps: of the whole training.
        rate: share of the highest rate, where the end is not known.
    """
    if settings.until == "plateau":
        warm_up = settings.measure_every if settings.warm_up_steps is None else settings.warm_up_steps
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate() * min(1.0, (step + 1) / (warm_up + 1)))
    steps = max(steps, 3)  # a single step would be the end of the cycle, where the rate is 0
    warm_up = round(0.2 * steps) if settings.warm_up_steps is None else min(settings.warm_up_steps, steps - 1)
    if settings.schedule == "cosine":
        # counted from 1 to the last step, since at 0 and at the end the rate is 0; the cosine begins behind the warm-up
        falling = steps + 1 - warm_up
        cosine = CosineLRScheduler(optimizer, falling, warmup_t=warm_up, warmup_prefix=True, t_in_epochs=False)
        cosine.step_update(1)
        return cosine
    share = 0.2 if settings.warm_up_steps is None else warm_up / steps
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=max(share, 2 / steps),  # a warm-up of a single step divides by zero
    )
