"""Shared encoders: ResNets, efficient CNNs and plain ViTs from timm, behind one interface."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import timm
import torch
from segmentation_models_pytorch.encoders.timm_universal import TimmUniversalEncoder
from segmentation_models_pytorch.encoders.timm_vit import TimmViTEncoder
from torch import Tensor, nn

from mtal.models.picture_size import fitted
from mtal.models.weights import hub_guard, load_backbone_weights, packaged_weights

TIMM_NAMES = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "efficientnet_lite0": "tf_efficientnet_lite0",
}
"""Short names; any other name goes to timm as it is."""

_VIT_MODULES = {"timm.models.vision_transformer", "timm.models.deit", "timm.models.eva"}  # take any image size


class Encoder(nn.Module):
    """Frames → pyramid of feature maps, shared by every head.

    ``levels`` is a flat list of tensors so that it can be cached on disk: for a CNN five maps from stride 2 to 32, for
    a ViT four maps at the patch stride followed, where the ViT has them, by their four prefix-token tensors.

    Attributes:
        is_vit: levels come from a plain ViT (and want a DPT decoder).
        out_channels: channels of each feature map.
        strides: stride of each feature map.
        dim: length of the pooled frame vector.
        deep: places of the three deepest maps among the levels, shallowest first; a CNN's count from the end, so that
            they are the same where shallow maps that nobody reads are left out.
        peaks_dim: length of the vector of :meth:`peaks`.
    """

    def __init__(self, backbone: TimmUniversalEncoder | TimmViTEncoder, name: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.name = name
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
        self.deep = range(1, 4) if self.is_vit else range(-3, 0)
        self.peaks_dim = sum(self.out_channels[i] for i in self.deep)
        statistics = timm.get_pretrained_cfg(name)
        mean = statistics.mean if statistics is not None else (0.485, 0.456, 0.406)
        std = statistics.std if statistics is not None else (0.229, 0.224, 0.225)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature levels of uint8 RGB ``images [N, 3, H, W]``; H and W must be multiples of the largest stride."""
        stride = max(self.strides)
        if images.shape[-2] % stride or images.shape[-1] % stride:
            height, width = images.shape[-2:]
            raise ValueError(
                f"{self.name} needs a height and width divisible by {stride}, not {height}x{width}; "
                "set frames.image_size"
            )
        x = (images.to(self.mean.dtype) / 255 - self.mean) / self.std
        if not self.is_vit:
            return list(self.backbone(x)[1:])
        maps, tokens = self.backbone(x)
        return [*maps, *(t for t in tokens if t is not None)]

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
    image_size: tuple[int, int] | None = None,
) -> Encoder:
    """An encoder by short name (see ``TIMM_NAMES``) or by any timm name.

    Args:
        name: ``resnet18``, ``resnet50``, ``vit_tiny``, ``vit_small``, ``efficientnet_lite0`` or a timm model name.
        pretrained: start from ImageNet weights. ``efficientnet_lite0`` has them in a package and needs no network;
            every other encoder takes them from the model hub.
        weights: a file of weights (``.safetensors``, ``.pth``) with timm's parameter names, used instead of the hub.
        image_size: (H, W) of the pictures, for encoders that look at one size alone; ``None`` makes it as timm does.

    Raises:
        ValueError: timm knows no such model or no such tag of it, it has no feature pyramid or not of pictures of this
            size, or ``weights`` do not fit.
        PretrainedWeightsUnavailableError: the hub can't be reached and nothing is cached, or nobody has trained any.
        FileNotFoundError: ``weights`` does not exist.
    """
    timm_name = TIMM_NAMES.get(name, name)
    architecture = timm_name.partition(".")[0]
    if not timm.is_model(architecture):
        close = timm.list_models(f"*{architecture.split('_')[0]}*")[:5]
        raise ValueError(
            f"unknown encoder {name!r}: not one of {', '.join(TIMM_NAMES)} and not a timm model"
            + (f"; timm has {', '.join(close)}, …" if close else "")
        )
    local = Path(weights) if weights is not None else packaged_weights(name) if pretrained else None
    from_hub = pretrained and local is None
    _check_tag(timm_name)
    with hub_guard(timm_name, enabled=from_hub):
        backbone = _backbone(timm_name, from_hub, None if name in TIMM_NAMES else image_size)
    if local is not None:
        load_backbone_weights(backbone.model, timm_name, local)
    return Encoder(backbone, timm_name)


def _check_tag(timm_name: str) -> None:
    try:
        timm.get_pretrained_cfg(timm_name)
    except RuntimeError as error:
        raise ValueError(f"encoder={timm_name}: {error} Leave the tag out to get timm's default") from error


def _backbone(
    timm_name: str, pretrained: bool, image_size: tuple[int, int] | None
) -> TimmUniversalEncoder | TimmViTEncoder:
    try:
        if timm.model_entrypoint(timm_name.partition(".")[0]).__module__ in _VIT_MODULES:
            return TimmViTEncoder(timm_name, pretrained=pretrained, dynamic_img_size=True)
        make = partial(TimmUniversalEncoder, timm_name, pretrained=pretrained)
        made: TimmUniversalEncoder = make()
    except OSError:  # weights that could not be fetched; some of these errors are ValueErrors as well
        raise
    except ValueError as error:
        raise ValueError(
            f"{timm_name} has no pyramid of feature maps for a decoder to stand on ({error}); take one of "
            f"{', '.join(TIMM_NAMES)} or another CNN or plain ViT of timm"
        ) from error
    return made if image_size is None else fitted(made, make, timm_name, image_size)
