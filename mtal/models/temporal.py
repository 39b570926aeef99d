"""What the frames before and after a frame tell of it.

Letters: N frames, W neighbours, D numbers of a pooled vector.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mtal.refusals import refuse

TemporalName = Literal["none", "tcn", "attention"]


class Temporal(nn.Module):
    """Pooled vectors of a frame and of its neighbours → one vector of the frame, ``[N, width]``.

    ``tcn``: residual convolutions over time, each with twice the dilation of the one before, until the frame in the
    middle sees all neighbours (Lea et al., CVPR 2017). ``attention``: the frame asks itself and its neighbours, each at
    its place before or after (Vaswani et al., NeurIPS 2017). Neighbours that are not there, at the ends of a recording,
    count for nothing.

    Args:
        kind: ``tcn`` or ``attention``.
        dim: D.
        window: neighbours on each side.
        causal: on the side of the past alone.
        width: of the vector.

    Raises:
        ValueError: there is no such kind, or no neighbour.
    """

    def __init__(self, kind: TemporalName, dim: int, window: int, causal: bool, width: int) -> None:
        super().__init__()
        refuse(temporal_faults(kind, window))
        self.before, self.after = window, 0 if causal else window
        self.width = width
        self.enter = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width))
        self.places = nn.Parameter(torch.randn(self.before + 1 + self.after, width) * 0.02)
        self.convolutions = nn.ModuleList()
        self.attention: nn.MultiheadAttention | None = None
        if kind == "tcn":
            dilations = [2**i for i in range(math.ceil(math.log2(window + 1)))]  # that sum up to the window or more
            self.convolutions.extend(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in dilations)
        else:
            self.attention = nn.MultiheadAttention(width, math.gcd(width, 4), batch_first=True)

    def forward(self, shared: Tensor, neighbours: Tensor | None) -> Tensor:
        """``[N, width]``.

        Args:
            shared: of the frames themselves, ``[N, D]``.
            neighbours: ``[N, W, D + 1]``, from the earliest to the last, with a 1 behind those that are there and a 0
                behind the others; ``None`` for frames without any.
        """
        if neighbours is None:
            neighbours = shared.new_zeros(len(shared), self.before + self.after, shared.shape[1] + 1)
        own = torch.cat([shared, shared.new_ones(len(shared), 1)], dim=1).unsqueeze(1)  # [N, 1, D + 1]
        clip = torch.cat([neighbours[:, : self.before], own, neighbours[:, self.before :]], dim=1)  # [N, W + 1, D + 1]
        there = clip[..., -1:]  # [N, W + 1, 1]
        x = (self.enter(clip[..., :-1]) + self.places) * there  # [N, W + 1, width]
        if self.attention is not None:
            asks = x[:, self.before : self.before + 1]  # [N, 1, width]
            told, _ = self.attention(asks, x, x, key_padding_mask=there[..., 0] == 0, need_weights=False)
            found: Tensor = (asks + told)[:, 0]
            return found
        for convolution in self.convolutions:
            change = nn.functional.gelu(convolution(x.transpose(1, 2)).transpose(1, 2))
            x = (x + change) * there
        return x[:, self.before]


def temporal_faults(kind: str, window: int) -> Iterator[str]:
    """What is wrong with options of :class:`Temporal`."""
    if kind not in get_args(TemporalName) or kind == "none":
        yield f"model.temporal must be {', '.join(get_args(TemporalName))}, not {kind!r}"
    if window < 1:
        yield f"model.window must be 1 or more neighbours on each side, not {window}"
