"""Shared decoders: FPN and U-Net over CNN pyramids, DPT over ViT levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from mtal.models.encoders import Encoder, Outline
from mtal.models.group_norm import GroupNorm
from mtal.refusals import refuse

DecoderName = Literal["auto", "fpn", "unet", "dpt"]
DPT_STRIDE = 32
"""Stride of DPT's deepest map; each map is doubled to the size of the one above it, so none may be rounded up."""

_FPN_LEVELS = 4


class _Sum(nn.Module):
    """Sum of maps. FPN's own stacks them first, which moves the channels of the result to another place in memory."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        total = maps[0]
        for x in maps[1:]:
            total = total + x
        return total


class Decoder(nn.Module):
    """Encoder levels → one map of ``channels`` features at stride 2 (U-Net, DPT) or 4 (FPN).

    Args:
        encoder: the encoder whose levels will come in.
        name: ``fpn``, ``unet``, ``dpt`` or ``auto`` (FPN for a CNN, DPT for a ViT).
        channels: width of the decoder; a multiple of 32 for FPN, whose GroupNorm has 32 groups.
        dropout: probability of dropping a channel of the decoder's output map.

    Attributes:
        reads: how many levels are read: the last ones, which for FPN are all but the largest map.

    Raises:
        ValueError: a plain ViT with a pyramid decoder, a CNN with DPT, a ViT whose patches are not 4, 8, 16 or 32
            pixels wide, a width that FPN can't have, or a number out of its range.
    """

    def __init__(self, encoder: Encoder, name: DecoderName = "auto", channels: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        refuse(decoder_faults(encoder.outline, name, channels, dropout))
        name = ("dpt" if encoder.is_vit else "fpn") if name == "auto" else name
        self.name = name
        self.encoder_name = encoder.name
        self.stride = encoder.strides[0]
        self.levels = len(encoder.out_channels)
        self.has_prefix = encoder.has_prefix
        self.reads = _FPN_LEVELS if name == "fpn" else self.levels * (1 + self.has_prefix)
        self.channels = channels
        self.body: nn.Module
        if name == "fpn":
            self.body = FPNDecoder(
                [3, *encoder.out_channels],
                self.levels,
                pyramid_channels=2 * channels,
                segmentation_channels=channels,
                dropout=0.0,
            )
            self.body.merge = _Sum()
            _speed_up(self.body)
        elif name == "unet":
            widths = [channels * 2 ** max(i - 1, 0) for i in reversed(range(self.levels - 1))]  # 4C, 2C, C, C
            self.body = UnetDecoder([3, *encoder.out_channels], widths, n_blocks=len(widths))
        else:
            self.body = DPTDecoder(
                encoder.out_channels,
                encoder.strides,
                encoder_has_prefix_tokens=encoder.has_prefix,
                readout="cat" if encoder.has_prefix else "ignore",
                intermediate_channels=(channels, channels, 2 * channels, 2 * channels),
                fusion_channels=channels,
            )
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """``[N, channels, H/s, W/s]`` of all levels, or of those that are read.

        Raises:
            ValueError: DPT, and the images' height or width is not divisible by 32.
        """
        maps = levels[: self.levels]
        if self.name == "dpt":
            height, width = (side * self.stride for side in maps[0].shape[-2:])
            refuse(_dpt_size_faults(self.encoder_name, height, width))
            tokens: list[Tensor | None] = list(levels[self.levels :]) if self.has_prefix else [None] * self.levels
            return self.dropout(self.body(maps, tokens))
        return self.dropout(self.body([maps[0], *maps]))  # the first entry stands for the image, which neither uses


def decoder_faults(
    encoder: Outline | None,
    name: str = "auto",
    channels: int = 64,
    dropout: float = 0.1,
    image_size: tuple[int, int] | None = None,
) -> Iterator[str]:
    """What is wrong with options of :class:`Decoder`, and with the size (H, W) of pictures that are to come in.

    Args:
        encoder: ``None`` where there is none to tell by.
        name: as for :class:`Decoder`.
        channels: likewise.
        dropout: likewise.
        image_size: ``None`` for any.
    """
    if name not in get_args(DecoderName):
        yield f"unknown decoder {name!r}; decoders are fpn, unet, dpt and auto"
    is_vit = None if encoder is None else encoder.is_vit
    if name == "auto" and is_vit is not None:
        name = "dpt" if is_vit else "fpn"
    if channels < 1:
        yield f"model.channels must be 1 or more, not {channels}"
    elif name == "fpn" and channels % 32:
        yield f"model.channels must be a multiple of 32 for the FPN decoder, not {channels}"
    if not 0 <= dropout <= 1:
        yield f"model.dropout must be a share from 0 to 1, not {dropout}"
    if encoder is None or name not in get_args(DecoderName):
        return
    if encoder.is_vit != (name == "dpt"):
        kind, takes = ("plain ViT", "dpt") if encoder.is_vit else ("CNN", "fpn or unet")
        yield f"{encoder.name} is a {kind} and takes model.decoder={takes}, not {name}"
    elif name == "dpt" and not set(encoder.strides) <= {4, 8, 16, 32}:
        yield (
            f"{encoder.name} has patches of {encoder.strides[0]} pixels; DPT halves and doubles its maps and takes "
            "4, 8, 16 or 32, such as encoder=vit_small"
        )
    elif name == "dpt" and image_size is not None:
        yield from _dpt_size_faults(encoder.name, *image_size)


def _dpt_size_faults(encoder: str, height: int, width: int) -> Iterator[str]:
    if height % DPT_STRIDE or width % DPT_STRIDE:
        yield (
            f"DPT over {encoder} needs a height and width divisible by {DPT_STRIDE}, not {height}x{width}; set "
            "frames.image_size"
        )


def _speed_up(body: nn.Module) -> None:
    """Every GroupNorm of torch replaced by ours, which is fast on maps that lie channels last."""
    for parent in list(body.modules()):
        for name, norm in parent.named_children():
            if type(norm) is nn.GroupNorm:
                setattr(parent, name, GroupNorm(norm.num_groups, norm.num_channels, norm.eps))
