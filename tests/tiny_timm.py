"""Models of a few thousand weights in the layouts of large ones, known to timm by name."""

from collections.abc import Callable
from typing import Any

import timm
from timm.models import convnext, eva, metaformer, pvt_v2, register_model, resnet, vision_transformer
from torch import nn


def _known(name: str, module: Any, create: Callable[..., nn.Module], **options: Any) -> str:
    def entry(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return create(name, pretrained=pretrained, **(options | kwargs))

    entry.__name__, entry.__module__ = name, module.__name__
    if not timm.is_model(name):
        register_model(entry)
    return name


_VIT = {"embed_dim": 32, "depth": 4, "num_heads": 2, "img_size": 64}

RESNET = _known("tiny_resnet", resnet, resnet._create_resnet, block=resnet.Bottleneck, layers=(1, 1, 1, 1))
CONVNEXT = _known("tiny_convnext", convnext, convnext._create_convnext, depths=(1, 1, 2, 1), dims=(8, 16, 24, 32))
CONVNEXT_V2 = _known(
    "tiny_convnextv2",
    convnext,
    convnext._create_convnext,
    depths=(1, 1, 2, 1),
    dims=(8, 16, 24, 32),
    use_grn=True,
    ls_init_value=None,
)
CAFORMER = _known(
    "tiny_caformer",
    metaformer,
    metaformer._create_metaformer,
    depths=(1, 1, 2, 1),
    dims=(8, 16, 32, 64),
    token_mixers=[metaformer.SepConv, metaformer.SepConv, metaformer.Attention, metaformer.Attention],
    norm_layers=[metaformer.LayerNorm2dNoBias] * 2 + [metaformer.LayerNormNoBias] * 2,
)
PVT = _known(
    "tiny_pvt",
    pvt_v2,
    pvt_v2._create_pvt2,
    depths=(1, 1, 2, 1),
    embed_dims=(8, 16, 24, 32),
    num_heads=(1, 2, 3, 4),
)
VIT = _known("tiny_vit", vision_transformer, vision_transformer._create_vision_transformer, patch_size=16, **_VIT)
DINO_V2 = _known(
    "tiny_dinov2",
    vision_transformer,
    vision_transformer._create_vision_transformer,
    patch_size=14,
    init_values=1e-5,
    **(_VIT | {"img_size": 112}),
)
DINO_V2_REG = _known(
    "tiny_reg4_dinov2",
    vision_transformer,
    vision_transformer._create_vision_transformer,
    patch_size=14,
    init_values=1e-5,
    reg_tokens=4,
    no_embed_class=True,
    **(_VIT | {"img_size": 112}),
)
_DINO_V3 = {
    "patch_size": 16,
    "dynamic_img_size": True,
    "init_values": 1e-5,
    "rope_type": "dinov3",
    "rope_rotate_half": True,
    "use_rot_pos_emb": True,
    "use_abs_pos_emb": False,
    "num_reg_tokens": 4,
    "use_fc_norm": False,
    **_VIT,
}
DINO_V3 = _known("tiny_dinov3", eva, eva._create_eva, qkv_bias=False, **_DINO_V3)
DINO_V3_BIAS = _known("tiny_dinov3_qkvb", eva, eva._create_eva, qkv_bias=True, **_DINO_V3)
