"""Shared encoders: ResNets, efficient CNNs and plain ViTs from timm, behind one interface."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import timm
import torch
from segmentation_models_pytorch.encoders.timm_universal import TimmUniversalEncoder
from segmentation_models_pytorch.encoders.timm_vit import TimmViTEncoder
from timm.models.metaformer import StarReLU
from torch import Tensor, nn

from mtal.models.normalisation import Channels, Normalisation, normalisation, normalisation_faults
from mtal.models.picture_size import Size, fitted
from mtal.models.published_weights import Match, fill
from mtal.models.tensors_file import refuse_missing_file
from mtal.models.weights import PretrainedWeightsUnavailableError, hub_guard, packaged_weights, refuse_untrained
from mtal.refusals import Refusals, refuse

TIMM_NAMES = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "caformer_s18_relu": "caformer_s18",
}
"""Short names; any other name goes to timm as it is. SurgeNet's CAFormer has ReLU where timm's has StarReLU."""

_WITH_RELU = ("caformer_s18_relu",)
_log = logging.getLogger(__name__)

_VIT_MODULES = {"timm.models.vision_transformer", "timm.models.deit", "timm.models.eva"}  # take any image size


class Outline(NamedTuple):
    """What of an encoder says which decoders and pictures it takes, see :class:`Encoder`."""

    name: str
    is_vit: bool
    strides: tuple[int, ...]

    def refuse_size(self, height: int, width: int) -> None:
        """Pictures have to be whole numbers of its cells.

        Raises:
            ValueError: these are not.
        """
        stride = max(self.strides)
        if height % stride or width % stride:
            raise ValueError(
                f"{self.name} needs a height and width divisible by {stride}, not {height}x{width}; "
                "set frames.image_size"
            )


class Encoder(nn.Module):
    """Frames → pyramid of feature maps, shared by every head.

    ``levels`` is a flat list of tensors so that it can be cached on disk: for a CNN five maps from stride 2 to 32, for
    a ViT four maps at the patch stride followed, where the ViT has them, by their four prefix-token tensors.

    Attributes:
        is_vit: levels come from a plain ViT (and want a DPT decoder).
        out_channels: channels of each feature map.
        strides: stride of each feature map.
        dim: length of the pooled frame vector.
        deep: places of the three deepest maps among the levels, shallowest first, counted from the end: they are the
            same where shallow maps that nobody reads are left out, or where something stands before the levels.
        peaks_dim: length of the vector of :meth:`peaks`.
        normalisation: of its pictures.
        weights: SHA-256 of the file that its weights are from, 16 digits of it; ``None`` where they are from none.
    """

    def __init__(
        self,
        backbone: TimmUniversalEncoder | TimmViTEncoder,
        name: str,
        of_pictures: Normalisation,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.name = name
        self.normalisation = of_pictures
        self.weights = weights
        self.is_vit = isinstance(backbone, TimmViTEncoder)
        if self.is_vit:
            self.out_channels = [int(c) for c in backbone.out_channels]
            self.strides = [int(s) for s in backbone.output_strides]
            self.has_prefix = bool(backbone.has_prefix_tokens)
        else:
            self.out_channels = [int(c) for c in backbone.out_channels[1:]]  # [0] is the image itself
            self.strides = [2 ** (i + 1) for i in range(len(self.out_channels))]
            self.has_prefix = False
        self.dim = self.out_channels[-1]
        behind = len(self.out_channels) if self.has_prefix else 0  # prefix tokens
        self.deep = range(-3 - behind, -behind)
        self.peaks_dim = sum(self.out_channels[-3:])
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(of_pictures.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(of_pictures.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature levels of uint8 RGB ``images [N, 3, H, W]``.

        Raises:
            ValueError: H or W is no multiple of the largest stride.
        """
        self.outline.refuse_size(*images.shape[-2:])
        images = images.flip(1) if self.normalisation.channels == "bgr" else images
        x = (images.to(self.mean.dtype) / 255 - self.mean) / self.std
        if not self.is_vit:
            return list(self.backbone(x)[1:])
        maps, tokens = self.backbone(x)
        return [*maps, *(t for t in tokens if t is not None)]

    @property
    def outline(self) -> Outline:
        """See :class:`Outline`."""
        return Outline(self.name, self.is_vit, tuple(self.strides))

    @property
    def description(self) -> dict[str, Any]:
        """``name``, ``mean``, ``std``, ``channels`` and ``weights``, as JSON holds them: what makes its features."""
        mean, std, channels = self.normalisation
        return {
            "name": self.name,
            "mean": list(mean),
            "std": list(std),
            "channels": channels,
            "weights": self.weights,
        }

    def peaks(self, levels: list[Tensor]) -> Tensor:
        """Strongest response of every channel of the three deepest maps, ``[N, peaks_dim]``: it finds what is small."""
        return torch.cat([levels[i].amax(dim=(2, 3)) for i in self.deep], dim=1)

    def pool(self, levels: list[Tensor]) -> Tensor:
        """One vector per frame ``[N, dim]``: the deepest map averaged over space."""
        return levels[self.deep[-1]].mean(dim=(2, 3))


def build_encoder(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    match: Match = "name",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels: Channels = "rgb",
    image_size: tuple[int, int] | None = None,
) -> Encoder:
    """An encoder by short name (see ``TIMM_NAMES``) or by any timm name.

    Args:
        name: a short name or a timm model name.
        pretrained: start from ImageNet weights. ``efficientnet_lite0`` has them in a package and needs no network;
            every other encoder takes them from the model hub.
        weights: a file of weights (``.safetensors``, ``.pth``) as its authors publish it, used instead of the hub; see
            :func:`~mtal.models.published_weights.fill`.
        match: how the tensors of ``weights`` are told apart: by ``name``, or by ``shape`` in timm's order.
        mean: of the pictures that the weights were trained with, three numbers from 0 to 1, in the order ``channels``;
            ``None`` for timm's of ``name``.
        std: likewise.
        channels: order of the channels that the weights were trained with, ``rgb`` or ``bgr``.
        image_size: (H, W) of the pictures, for encoders that look at one size alone, and for tables of positions;
            ``None`` makes it as timm does.

    Raises:
        ValueError: timm knows no such model or no such tag of it, it has no feature pyramid or not of pictures of this
            size, ``weights`` do not fit, or an option is out of range.
        PretrainedWeightsUnavailableError: the hub can't be reached and nothing is cached, or nobody has trained any.
        FileNotFoundError: ``weights`` does not exist.
    """
    faults_of_encoder(
        name, pretrained=pretrained, weights=weights, match=match, mean=mean, std=std, channels=channels
    ).tell(what="wrong options")
    timm_name = TIMM_NAMES.get(name, name)
    packaged = packaged_weights(name) if pretrained and weights is None else None
    local = Path(weights) if weights is not None else packaged
    from_hub = pretrained and local is None
    of_pictures = normalisation(timm_name, mean, std, channels)
    variant = _variant(name)
    with hub_guard(variant, enabled=from_hub):
        backbone, options = _backbone(timm_name, from_hub, image_size, may_be_fixed=name not in TIMM_NAMES)
    if name in _WITH_RELU:
        _use_relu(backbone)
    if local is not None:

        def make_whole(other: str) -> nn.Module:
            return _whole(other, options if other == variant else _size_options(other, image_size))

        told = fill(backbone.model, make_whole, variant, local, "shape" if packaged is not None else match)
        if packaged is None:
            _log.info("encoder.weights: %s; pictures of %s%s", told, of_pictures, _whose(timm_name, mean, std))
    return Encoder(backbone, variant, of_pictures, _digest(local))


@lru_cache(maxsize=16)
def is_plain_vit(name: str) -> bool:
    """Whether the encoder of that name is a plain ViT; ``False`` also where there is none of that name."""
    timm_name = TIMM_NAMES.get(name, name)
    return timm.is_model(timm_name.partition(".")[0]) and _is_vit(timm_name)


def outline_of(name: str, image_size: Size | None) -> Outline:
    """What :func:`build_encoder` would make, without memory for weights and with pictures without pixels.

    Raises:
        ValueError: as there.
    """
    _refuse_unknown(name)
    with torch.device("meta"):
        backbone, _ = _backbone(TIMM_NAMES.get(name, name), False, image_size, may_be_fixed=name not in TIMM_NAMES)
        return Encoder(backbone, _variant(name), normalisation("resnet18")).outline


def faults_of_encoder(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    match: str = "name",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels: str = "rgb",
) -> Refusals:
    """What is wrong with options of :func:`build_encoder`, as far as no encoder has to be made to tell."""
    refusals = Refusals()
    with refusals:
        _refuse_unknown(name)
        if pretrained and weights is None and packaged_weights(name) is None:
            try:
                refuse_untrained(_variant(name))
            except PretrainedWeightsUnavailableError as error:
                refusals.take(error)
    with refusals:
        refuse(normalisation_faults(mean, std, channels))
    if match not in get_args(Match):
        refusals.take(ValueError(f"encoder.match must be {' or '.join(get_args(Match))}, not {match!r}"))
    if weights is not None:
        with refusals:
            refuse_missing_file(Path(weights))
    return refusals


def _variant(name: str) -> str:
    return name if name in _WITH_RELU else TIMM_NAMES.get(name, name)


def _refuse_unknown(name: str) -> None:
    timm_name = TIMM_NAMES.get(name, name)
    architecture = timm_name.partition(".")[0]
    if not timm.is_model(architecture):
        close = timm.list_models(f"*{architecture.split('_')[0]}*")[:5]
        raise ValueError(
            f"unknown encoder {name!r}: not one of {', '.join(TIMM_NAMES)} and not a timm model"
            + (f"; timm has {', '.join(close)}, …" if close else "")
        )
    _check_tag(timm_name)


def _whose(timm_name: str, mean: Sequence[float] | None, std: Sequence[float] | None) -> str:
    unset = [f"encoder.{name}" for name, given in (("mean", mean), ("std", std)) if given is None]
    if not unset:
        return ""
    return f", timm's for {timm_name}: set {' and '.join(unset)} where the weights were trained with others"


def _digest(file: Path | None) -> str | None:
    if file is None:
        return None
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def _use_relu(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, module in parent.named_children():
            if isinstance(module, StarReLU):
                setattr(parent, name, nn.ReLU())


def _whole(name: str, options: Mapping[str, Any]) -> nn.Module:
    """What timm makes of ``name``, without memory for its weights."""
    with torch.device("meta"):
        model: nn.Module = timm.create_model(TIMM_NAMES.get(name, name).partition(".")[0], **options)
    if name in _WITH_RELU:
        _use_relu(model)
    return model


def _check_tag(timm_name: str) -> None:
    try:
        timm.get_pretrained_cfg(timm_name)
    except RuntimeError as error:
        raise ValueError(f"encoder={timm_name}: {error} Leave the tag out to get timm's default") from error


def _is_vit(timm_name: str) -> bool:
    """Whether it is a plain one, that takes pictures of any size."""
    return timm.model_entrypoint(timm_name.partition(".")[0]).__module__ in _VIT_MODULES


def _size_options(name: str, image_size: Size | None) -> dict[str, Any]:
    """What tells timm the size of the pictures, for the models that look at any."""
    if not _is_vit(TIMM_NAMES.get(name, name)):
        return {}
    return {"dynamic_img_size": True} | ({} if image_size is None else {"img_size": image_size})


def _backbone(
    timm_name: str, pretrained: bool, image_size: Size | None, *, may_be_fixed: bool
) -> tuple[TimmUniversalEncoder | TimmViTEncoder, dict[str, Any]]:
    """The encoder and what timm was told of the size of the pictures."""
    options = _size_options(timm_name, image_size)
    try:
        if _is_vit(timm_name):
            return TimmViTEncoder(timm_name, pretrained=pretrained, **options), options
        make = partial(TimmUniversalEncoder, timm_name, pretrained=pretrained)
        made: TimmUniversalEncoder = make()
    except OSError:  # weights that could not be fetched; some of these errors are ValueErrors as well
        raise
    except (ValueError, IndexError) as error:
        why = "too few of them" if isinstance(error, IndexError) else error
        raise ValueError(
            f"{timm_name} has no pyramid of feature maps for a decoder to stand on ({why}); take one of "
            f"{', '.join(TIMM_NAMES)} or another CNN or plain ViT of timm"
        ) from error
    if image_size is None or not may_be_fixed:
        return made, {}
    return fitted(made, make, timm_name, image_size)
