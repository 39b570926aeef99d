"""Names of the tensors in published checkpoints, turned into timm's."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import timm
from timm.models.eva import Eva
from torch import Tensor, nn

State = dict[str, Tensor]

_UNEXPECTED = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)  # what timm's renaming raises
_TEACHER = re.compile(r"(^|[._])(teacher|ema)([._]|$)")


def prefixes(tensors: Mapping[str, Tensor], least: int) -> Iterator[str]:
    """Beginnings of names, up to a dot, that ``least`` tensors or more have in common; first of all none."""
    counts: dict[str, int] = {}
    for name in tensors:
        for dot in re.finditer(r"\.", name):
            prefix = name[: dot.end()]
            counts[prefix] = counts.get(prefix, 0) + 1
    yield ""
    yield from (prefix for prefix, count in counts.items() if count >= least)


def of_the_teacher(prefix: str) -> bool:
    """Whether these are averaged weights: they are what is published of a student and its teacher.

    >>> [of_the_teacher(p) for p in ("teacher.backbone.", "state_dict_ema.", "student.", "schema.")]
    [True, True, False, False]
    """
    return bool(_TEACHER.search(prefix))


def in_timm_names(state: State, whole: nn.Module) -> Iterator[State]:
    """``state`` under the names that timm's model could have for it: as timm renames it, and as it is.

    Args:
        state: tensors by name, without a prefix.
        whole: the model, as timm makes it for the size of our pictures; a model on the device ``meta`` will do. Tables
            of positions are resampled to it.
    """
    state = _unchunked(_of_torchvision(state))
    if isinstance(whole, Eva):
        state = _without_dead_biases(state, whole)
    renamed = _as_timm_renames(state, whole)
    if renamed is not None:
        yield renamed
    yield state


def _as_timm_renames(state: State, whole: nn.Module) -> State | None:
    """What timm's renaming does not expect, such as a projection head or an activation's weights, keeps its name."""
    rename = _renaming(whole)
    if rename is None:
        return None
    try:
        return rename(dict(state), whole)
    except _UNEXPECTED:
        strange = {name: tensor for name, tensor in state.items() if not _expected(rename, {name: tensor}, whole)}
    try:
        return rename({k: v for k, v in state.items() if k not in strange}, whole) | strange
    except _UNEXPECTED:  # this is no layout of its model at all
        return None


def _expected(rename: Callable[[State, nn.Module], State], state: State, whole: nn.Module) -> bool:
    try:
        rename(state, whole)
    except _UNEXPECTED:
        return False
    return True


def _renaming(whole: Any) -> Callable[[State, nn.Module], State] | None:
    """What timm does with a checkpoint of the model's authors."""
    module = timm.model_entrypoint(whole.pretrained_cfg["architecture"]).__module__
    found: Callable[..., State] | None = getattr(sys.modules[module], "checkpoint_filter_fn", None)
    return partial(found, adapt_layer_scale=True) if found is not None and module == "timm.models.deit" else found


def _of_torchvision(state: State) -> State:
    """ConvNeXt of torchvision: stem and stages, and what lies between two stages, are one list ``features``."""
    if "features.1.0.layer_scale" not in state:
        return state
    parts = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}
    renamed = {}
    for name, tensor in state.items():
        if stem := re.fullmatch(r"features\.0\.(.*)", name):
            renamed[f"stem.{stem[1]}"] = tensor
        elif between := re.fullmatch(r"features\.([246])\.(.*)", name):
            renamed[f"stages.{int(between[1]) // 2}.downsample.{between[2]}"] = tensor
        elif part := re.fullmatch(r"features\.([1357])\.(\d+)\.block\.([0235])\.(.*)", name):
            renamed[f"stages.{int(part[1]) // 2}.blocks.{part[2]}.{parts[part[3]]}.{part[4]}"] = tensor
        elif scale := re.fullmatch(r"features\.([1357])\.(\d+)\.layer_scale", name):
            renamed[f"stages.{int(scale[1]) // 2}.blocks.{scale[2]}.gamma"] = tensor.flatten()
        else:
            renamed[name.replace("classifier.0.", "head.norm.").replace("classifier.2.", "head.fc.")] = tensor
    return renamed


def _unchunked(state: State) -> State:
    """ViTs that Meta trained in chunks: ``blocks.1.7`` is block 7."""
    if "patch_embed.proj.weight" not in state:
        return state
    return {re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", name): tensor for name, tensor in state.items()}


def _without_dead_biases(state: State, whole: nn.Module) -> State:
    """DINOv3's queries, keys and values have a bias, of which a mask hides the keys' third, and more is often 0.

    timm's models have none for the keys, and some have none at all. What is 0 is left out; what is not gets a name
    for which no model has a place.
    """
    kept = dict(state)
    has_biases = any(name.endswith(".q_bias") for name, _ in whole.named_parameters())
    for name in [name for name in state if name.endswith(".attn.qkv.bias")]:
        bias = kept.pop(name)
        mask = kept.pop(f"{name}_mask", None)
        if mask is not None:
            bias.masked_fill_(mask.nan_to_num() == 0, 0)
        if has_biases:
            kept[name] = bias
            bias = bias.chunk(3)[1]
        if bias.any():
            kept[f"{name}{' of the keys' if has_biases else ''}, which is not 0"] = bias
    return kept
