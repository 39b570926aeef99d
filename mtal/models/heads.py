"""Heads: a frame vector or a feature map in, logits out, with a linear last layer.

Letters: K members, N frames, C classes, D features, h x w sites.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FrameHead(nn.Module):
    """Frame vector ``[N, D]`` → logits ``[N, C]`` through one hidden layer.

    The last layer is linear, so the gradients that acquisition needs have a closed form in ``features``.
    """

    def __init__(self, in_features: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.width = hidden
        self.body = nn.Sequential(
            nn.LayerNorm(in_features), nn.Linear(in_features, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.last = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C]`` and last-layer features ``[N, hidden]``."""
        features = self.body(x)
        return self.last(features), features

    def members(self, x: Tensor, masks: Tensor) -> Tensor:
        """Logits ``[K, N, C]`` of K sub-networks: vectors ``x [K, N, D]``, hidden units times ``masks [K, hidden]``."""
        *before, _ = self.body  # the last one is the dropout that the masks stand for
        for layer in before:
            x = layer(x)
        logits: Tensor = self.last(x * masks.unsqueeze(1))
        return logits


class PixelHead(nn.Module):
    """Decoder map ``[N, D, h, w]`` → logits ``[N, C, h, w]`` by a 1 x 1 convolution."""

    def __init__(self, in_channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.width = in_channels
        self.body = nn.Dropout2d(dropout)
        self.last = nn.Conv2d(in_channels, classes, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C, h, w]`` and last-layer features ``[N, D, h, w]``."""
        features = self.body(x)
        return self.last(features), features

    def members(self, x: Tensor, masks: Tensor) -> Tensor:
        """Logits ``[K, N, C, h, w]`` of K sub-networks whose channels are multiplied by ``masks [K, D]``.

        W(m_k ⊙ x) = (W · diag m_k)x, so all members are one matrix product over the undropped map. Each class of a
        member lies in one piece over all frames and sites, which is how reductions over classes are fastest.
        """
        N, D, h, w = x.shape
        C = self.last.out_channels
        weight = (self.last.weight.view(1, C, D) * masks.unsqueeze(1)).flatten(0, 1)  # [K · C, D]
        assert self.last.bias is not None
        bias = self.last.bias.repeat(len(masks)).unsqueeze(1)  # [K · C, 1]
        rows = x.permute(0, 2, 3, 1).reshape(N * h * w, D)  # no copy where channels lie last in memory
        logits = torch.addmm(bias, weight, rows.T)  # [K · C, N · h · w]
        return logits.view(len(masks), C, N, h, w).transpose(1, 2)
