"""Shared decoders: FPN and U-Net over CNN pyramids, DPT over ViT levels."""

from __future__ import annotations

from typing import Literal

from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from mtal.models.encoders import Encoder

DecoderName = Literal["auto", "fpn", "unet", "dpt"]


class Decoder(nn.Module):
    """Encoder levels → one map of ``channels`` features at stride 2 (U-Net, DPT with 16 px patches: 2) or 4 (FPN).

    Args:
        encoder: the encoder whose levels will come in.
        name: ``fpn``, ``unet``, ``dpt`` or ``auto`` (FPN for a CNN, DPT for a ViT).
        channels: width of the decoder.
        dropout: probability of dropping a channel of the decoder's output map.

    Raises:
        ValueError: a plain ViT with a pyramid decoder, or a CNN with DPT.
    """

    def __init__(self, encoder: Encoder, name: DecoderName = "auto", channels: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        name = ("dpt" if encoder.is_vit else "fpn") if name == "auto" else name
        if name not in ("fpn", "unet", "dpt"):
            raise ValueError(f"unknown decoder {name!r}; decoders are fpn, unet, dpt and auto")
        if encoder.is_vit != (name == "dpt"):
            kind, takes = ("plain ViT", "dpt") if encoder.is_vit else ("CNN", "fpn or unet")
            raise ValueError(f"{encoder.name} is a {kind} and takes model.decoder={takes}, not {name}")
        self.name = name
        self.levels = len(encoder.out_channels)
        self.has_prefix = encoder.has_prefix
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
        """``[N, channels, H/s, W/s]``."""
        maps = levels[: self.levels]
        if self.name == "dpt":
            tokens: list[Tensor | None] = list(levels[self.levels :]) if self.has_prefix else [None] * self.levels
            return self.dropout(self.body(maps, tokens))
        return self.dropout(self.body([maps[0], *maps]))  # the first entry stands for the image, which neither uses
