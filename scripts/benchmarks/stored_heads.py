"""The heads of the model on vectors that an encoder has left: what a round costs once frames are encoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtal.models import MultiTaskModel
from mtal.models.heads import FrameHead, PixelHead
from mtal.models.network import Represented
from mtal.tasks.task import Task

CELLS = 4  # along each side of the map that a vector stands for


class _Vectors(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def pool(self, levels: Sequence[Tensor]) -> Tensor:
        return levels[0]


class _Width(nn.Module):
    """What members ask of a decoder: its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels


class StoredHeads(MultiTaskModel):
    """The heads of :class:`MultiTaskModel` on vectors ``[n, D]``, whose map is the vector as ``[n, D / 16, 4, 4]``."""

    def __init__(self, dim: int, tasks: Sequence[Task], hidden: int = 128) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(0)
        self.channels = dim // CELLS**2
        self.encoder = _Vectors(dim)  # type: ignore[assignment]
        self.decoder = _Width(self.channels)  # type: ignore[assignment]
        self.dropout, self.frozen, self.temporal, self.loss_prediction = 0.1, True, None, None
        self.heads = nn.ModuleDict(
            {
                t.name: FrameHead(dim + 2 * self.channels, hidden, len(t.classes), self.dropout)
                if t.support == "frame"
                else PixelHead(self.channels, len(t.classes), self.dropout)
                for t in tasks
            }
        )

    def encode(self, inputs: Tensor | list[Tensor]) -> list[Tensor]:
        return inputs if isinstance(inputs, list) else [inputs]

    def represent(self, inputs: Tensor | list[Tensor]) -> Represented:
        shared = self.encode(inputs)[0]
        return Represented(shared, shared[:, :0], shared.view(len(shared), self.channels, CELLS, CELLS))
