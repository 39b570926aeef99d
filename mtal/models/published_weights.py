"""Weights as they are published, found in their file, renamed and fitted to an encoder, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

from mtal.models.layouts import in_timm_names, of_the_teacher, prefixes
from mtal.models.tensors_file import read_tensors

Match = Literal["name", "shape"]

_HEADS = ("head.", "fc.", "classifier.")
_UNREAD_BY_VITS = ("norm.", "fc_norm.", "attn_pool.")  # their maps are taken before the last normalisation
_WIDTHS = {"tiny": 192, "small": 384, "base": 768, "large": 1024}
_KNOWN = {  # width and kernel of the first convolution, a name that only these have, the models
    (64, 7, "token_mixer"): ("caformer_s18", "caformer_s18_relu"),
    (64, 7, "patch_embed"): ("pvt_v2_b1", "pvt_v2_b2"),
    (64, 7, "layer1.0.conv3"): ("resnet50", "resnet101"),
    (64, 7, "layer1.0.conv2"): ("resnet18", "resnet34"),
    (96, 4, "grn"): ("convnextv2_tiny",),
    (128, 4, "grn"): ("convnextv2_base",),
    (96, 4, ""): ("convnext_tiny", "convnext_small"),
    (128, 4, ""): ("convnext_base",),
    (192, 4, ""): ("convnext_large",),
    **{
        (_WIDTHS[size], patch, mark): (f"vit_{size}_patch{patch}_{which}",)
        for patch, mark, which, sizes in (
            (16, "storage_tokens", "dinov3", ("small", "base", "large")),
            (16, "reg_token", "dinov3", ("small", "base", "large")),
            (14, "reg", "reg4_dinov2", ("small", "base", "large")),
            (14, "", "dinov2", ("small", "base", "large")),
            (16, "", "224", ("tiny", "small", "base", "large")),
            (8, "", "224", ("small", "base")),
        )
        for size in sizes
    },
}


class _Fit(NamedTuple):
    """How tensors of a file and of an encoder go together.

    Attributes:
        tensors: those of the file that have a place, under the encoder's names.
        source: what stands before their names in the file.
        lacking: names in the encoder of what the file has not.
        reshaped: what has another shape, in words.
        homeless: names of tensors for which the encoder has no place although it has the part that they belong to.
        resampled: tables of positions that were made for another size, in words.
    """

    tensors: dict[str, Tensor]
    source: str
    lacking: list[str]
    reshaped: list[str]
    homeless: list[str]
    resampled: list[str]

    def faults(self) -> list[str]:
        """Why they do not, in words."""
        return [
            f"{len(names)} {'tensor is' if len(names) == 1 else 'tensors are'} {fault} ({_first(names)})"
            for names, fault in (
                (self.lacking, "missing"),
                (self.reshaped, "of another shape"),
                (self.homeless, "without a place in it"),
            )
            if names
        ]


def fill(backbone: nn.Module, make_whole: Callable[[str], nn.Module], name: str, path: Path, match: Match) -> str:
    """Copy the weights in ``path`` into ``backbone``.

    Whatever wraps them is taken off: dictionaries within dictionaries (``model``, ``state_dict``, ``teacher``, …) and
    beginnings of names (``module.``, ``backbone.``, …), as many as leave the most tensors with the name and the shape
    of one of the encoder's; of equals, those of a teacher or an average. What an encoder does not read, such as a
    classifier, may be missing, and may be there.

    Args:
        backbone: a timm model, or its feature pyramid.
        make_whole: gives a timm model by its name without weights, for pictures of the size that ``backbone`` is for.
        name: of the encoder.
        path: file of weights.
        match: by ``name``; or by ``shape``, one to one in the order of timm's model.

    Returns:
        In one sentence what was matched and what was left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of weights, or they do not fit.
    """
    tensors = read_tensors(path)
    whole = make_whole(name)
    if isinstance(backbone, FeatureGetterNet):
        backbone = backbone.model
    if match == "shape":
        tensors = _in_order(whole, tensors, name, path)
    fit = _best(tensors, _places(backbone), whole)
    faults = fit.faults()
    if faults:
        raise ValueError(f"{path} does not fit {name}: {_why(fit, tensors, whole, make_whole, name)}")
    left_out = _left_out(tensors, fit)
    backbone.load_state_dict(fit.tensors, strict=False)
    return (
        f"{path}: {len(fit.tensors)} tensors{f' of {fit.source[:-1]}' if fit.source else ''} are those of {name}"
        + (f", {', '.join(fit.resampled)}" if fit.resampled else "")
        + (f"; {len(left_out)} left out ({_first(left_out)})" if left_out else "; none left out")
    )


def _places(backbone: nn.Module) -> dict[str, Tensor]:
    """All that a model holds, but for a classifier."""
    return {k: v for k, v in backbone.state_dict().items() if not k.startswith(_HEADS)}


def _is_read(name: str, places: Mapping[str, Tensor]) -> bool:
    is_vit = "blocks.0.norm1.weight" in places and "patch_embed.proj.weight" in places
    return not (name.endswith("num_batches_tracked") or (is_vit and name.startswith(_UNREAD_BY_VITS)))


def _best(tensors: Mapping[str, Tensor], places: Mapping[str, Tensor], whole: nn.Module) -> _Fit:
    read = sum(_is_read(k, places) for k in places)
    fits = [
        _fit(renamed, places, whole, stripped, prefix)
        for prefix in prefixes(tensors, least=read // 2)
        for stripped in [{k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}]
        for renamed in in_timm_names(stripped, whole)
    ]
    return min(
        fits,
        key=lambda fit: (len(fit.lacking) + len(fit.reshaped), len(fit.lacking), not of_the_teacher(fit.source)),
    )


def _fit(
    state: Mapping[str, Tensor],
    places: Mapping[str, Tensor],
    whole: nn.Module,
    stripped: Mapping[str, Tensor],
    source: str,
) -> _Fit:
    found = {_flat(k): v for k, v in state.items()}
    there = {k: found[_flat(k)] for k in places if _flat(k) in found}
    there = {k: v for k, v in there.items() if v.shape == places[k].shape or _is_read(k, places)}
    lacking = [k for k in places if k not in there and _is_read(k, places)]
    reshaped = [
        f"{k} is {list(v.shape)} instead of {list(places[k].shape)}"
        for k, v in there.items()
        if v.shape != places[k].shape
    ]
    patches = stripped.get("patch_embed.proj.weight")
    if patches is not None and "patch_embed.proj.weight" in places:
        ours = places["patch_embed.proj.weight"]
        if patches.ndim == 4 and patches.shape[2:] != ours.shape[2:]:  # timm would resample them
            reshaped.append(f"patch_embed.proj.weight is {list(patches.shape)} instead of {list(ours.shape)}")
    homes = {_flat(k) for k in (*whole.state_dict(), *places)}
    parts = {k.replace("_", ".").split(".")[0] for k in places if _is_read(k, places)}
    homeless = [k for k in state if _flat(k) not in homes and k.replace("_", ".").split(".")[0] in parts]
    resampled = [
        f"{k} resampled from {stripped[k].shape[1]} to {v.shape[1]} places"
        for k, v in there.items()
        if k == "pos_embed" and k in stripped and not _same_memory(stripped[k], v)
    ]
    return _Fit(there, source, lacking, list(dict.fromkeys(reshaped)), homeless, resampled)


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _flat(name: str) -> str:
    """``name`` without its dots: some of timm's feature pyramids call ``stages_0.conv`` what is ``stages.0.conv``."""
    return name.replace(".", "_")


def _left_out(tensors: Mapping[str, Tensor], fit: _Fit) -> list[str]:
    """Names in the file of what was not taken."""
    taken = {v.data_ptr() for v in fit.tensors.values()}  # renamed and reshaped tensors lie where they lay
    names = {f"{fit.source}{k}" for k in fit.tensors}  # of those that were made anew
    return [k for k, v in tensors.items() if v.data_ptr() not in taken and k not in names]


def _why(
    fit: _Fit,
    tensors: Mapping[str, Tensor],
    whole: nn.Module,
    make_whole: Callable[[str], nn.Module],
    name: str,
) -> str:
    if any(k.endswith("rope_embed.periods") for k in tensors) and not any("storage_tokens" in k for k in tensors):
        return "it is a DINOv3 without register tokens, of which timm has no model"
    if fit.tensors:
        why = " and ".join(fit.faults())
    elif any("embeddings.patch_embeddings" in k for k in tensors):
        why = "its names are those of the library transformers; take the file of the authors' own code, or timm's"
    elif _shapes(whole) == [v.shape for v in tensors.values()]:
        why = "no name agrees, but all shapes do in order; encoder.match=shape takes them so"
    else:
        why = "neither the names nor the shapes of its tensors agree"
    other = next((other for other in _known(tensors) if other != name and _fits(tensors, make_whole(other))), "")
    return why + (f". It fits encoder.name={other}" if other else "")


def _known(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of models whose first convolution is one of the file's."""
    first = {(v.shape[0], v.shape[-1]) for v in tensors.values() if v.ndim == 4 and v.shape[1] == 3}
    return [
        name
        for (width, kernel, mark), names in _KNOWN.items()
        if (width, kernel) in first and any(mark in k for k in tensors)
        for name in names
    ]


def _fits(tensors: Mapping[str, Tensor], whole: nn.Module) -> bool:
    return not _best(tensors, _places(whole), whole).faults()


def _shapes(whole: nn.Module) -> list[torch.Size]:
    return [v.shape for v in whole.state_dict().values()]


def _in_order(whole: nn.Module, tensors: dict[str, Tensor], name: str, path: Path) -> dict[str, Tensor]:
    if _shapes(whole) != [v.shape for v in tensors.values()]:
        raise ValueError(
            f"{path} does not fit {name}: encoder.match=shape takes the file's {len(tensors)} tensors one to one in "
            f"order, and their shapes are not those of the model's {len(whole.state_dict())}"
        )
    return dict(zip(whole.state_dict(), tensors.values(), strict=True))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
