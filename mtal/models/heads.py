"""Heads: a frame vector or a feature map in, logits out, with a linear last layer."""

from __future__ import annotations

from torch import Tensor, nn


class FrameHead(nn.Module):
    """Frame vector ``[N, D]`` → logits ``[N, C]`` through one hidden layer.

    The last layer is linear, so the gradients that acquisition needs have a closed form in ``features``.
    """

    def __init__(self, in_features: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LayerNorm(in_features), nn.Linear(in_features, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.last = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C]`` and last-layer features ``[N, hidden]``."""
        features = self.body(x)
        return self.last(features), features


class PixelHead(nn.Module):
    """Decoder map ``[N, D, h, w]`` → logits ``[N, C, h, w]`` by a 1 x 1 convolution."""

    def __init__(self, in_channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Dropout2d(dropout)
        self.last = nn.Conv2d(in_channels, classes, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C, h, w]`` and last-layer features ``[N, D, h, w]``."""
        features = self.body(x)
        return self.last(features), features
