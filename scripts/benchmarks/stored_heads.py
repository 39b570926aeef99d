"""The heads of the model on vectors that an encoder has left: what a round costs once frames are encoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtal.models import MultiTaskModel
from mtal.models.heads import FrameHead, PixelHead
from mtal.models.loss_prediction import LossPrediction
from mtal.tasks.task import Task

CELLS = 4  # along each side of the map that a vector stands for


class _Maps(nn.Module):
    """What is asked of an encoder whose deepest map has one cell."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = self.peaks_dim = dim
        self.deep = range(-1, 0)

    def pool(self, levels: Sequence[Tensor]) -> Tensor:
        return levels[-1].mean(dim=(2, 3))

    def peaks(self, levels: Sequence[Tensor]) -> Tensor:
        return levels[-1].amax(dim=(2, 3))


class _Cells(nn.Module):
    """The vector as a map of few channels and several cells, in a decoder's place."""

    reads = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return levels[-1].reshape(-1, self.channels, CELLS, CELLS)


class StoredHeads(MultiTaskModel):
    """The heads of :class:`MultiTaskModel` on vectors ``[n, D, 1, 1]``, whose map is ``[n, D / 16, 4, 4]``."""

    def __init__(self, dim: int, tasks: Sequence[Task], hidden: int = 128, *, loss_prediction: bool = False) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(0)
        self.channels = dim // CELLS**2
        self.encoder = _Maps(dim)  # type: ignore[assignment]
        self.decoder = _Cells(self.channels)  # type: ignore[assignment]
        self.dropout, self.frozen, self.temporal = 0.1, True, None
        parts = [dim, dim, self.channels, self.channels]
        self.loss_prediction = LossPrediction(parts, [t.name for t in tasks]) if loss_prediction else None
        self.heads = nn.ModuleDict(
            {
                t.name: FrameHead(sum(parts), hidden, len(t.classes), self.dropout)
                if t.support == "frame"
                else PixelHead(self.channels, len(t.classes), self.dropout)
                for t in tasks
            }
        )
