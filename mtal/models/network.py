"""The model: one encoder, one decoder, a head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtal.models.decoders import Decoder, DecoderName
from mtal.models.encoders import Encoder
from mtal.models.heads import FrameHead, PixelHead
from mtal.tasks.task import Task


class HeadLogits(NamedTuple):
    """What a head says before its link function.

    ``logits [N, C]`` and ``features [N, D]`` for a frame head, ``[N, C, h, w]`` and ``[N, D, h, w]`` for a pixel head.
    """

    logits: Tensor
    features: Tensor


class ModelOutput(NamedTuple):
    """Heads by task name, and the pooled output ``shared [N, D]`` of the encoder that they all stand on."""

    heads: dict[str, HeadLogits]
    shared: Tensor


class MultiTaskModel(nn.Module):
    """Frames → logits of every task, through one shared encoder-decoder.

    Frame heads see the encoder's pooled vector and the peaks of its deep maps (a tool's tip fills few cells) beside the
    decoder's map averaged and maximised over space, so masks teach the tags as well.

    Args:
        encoder: shared encoder.
        tasks: one head each.
        decoder: ``auto``, ``fpn``, ``unet`` or ``dpt``.
        channels: width of the decoder.
        hidden: width of the frame heads' hidden layer.
        dropout: in decoder and heads; the encoder has none, so it runs once for any number of Monte-Carlo passes.
        frozen: keep the encoder as it is (weights and BatchNorm statistics).
    """

    def __init__(
        self,
        encoder: Encoder,
        tasks: Sequence[Task],
        decoder: DecoderName = "auto",
        channels: int = 64,
        hidden: int = 128,
        dropout: float = 0.1,
        *,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(encoder, decoder, channels, dropout)
        self.frozen = frozen
        heads: dict[str, nn.Module] = {}
        for task in tasks:
            classes = len(task.classes)
            if task.support == "frame":
                heads[task.name] = FrameHead(encoder.dim + encoder.peaks_dim + 2 * channels, hidden, classes, dropout)
            else:
                heads[task.name] = PixelHead(channels, classes, dropout)
        self.heads = nn.ModuleDict(heads)
        self.to(memory_format=torch.channels_last)  # frames and cached features come that way
        if frozen:
            self.encoder.requires_grad_(requires_grad=False)
            self.encoder.eval()  # a module is born in training mode

    def train(self, mode: bool = True) -> MultiTaskModel:
        """As usual, except that a frozen encoder stays in evaluation mode: its BatchNorm statistics must not move."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, inputs: Tensor | list[Tensor]) -> ModelOutput:
        """Run on uint8 images ``[N, 3, H, W]``, or on encoder levels computed before."""
        if isinstance(inputs, Tensor):
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                levels = self.encoder(inputs)
        else:
            levels = inputs
        shared = self.encoder.pool(levels)  # [N, D]
        decoded = self.decoder(levels)  # [N, channels, h, w]
        summaries = [shared, self.encoder.peaks(levels), decoded.mean(dim=(2, 3)), decoded.amax(dim=(2, 3))]
        frame = torch.cat(summaries, dim=1)  # [N, dim + peaks_dim + 2 channels]
        heads = {
            name: HeadLogits(*head(frame if isinstance(head, FrameHead) else decoded))
            for name, head in self.heads.items()
        }
        return ModelOutput(heads, shared)

    def trained_state(self) -> Mapping[str, Tensor]:
        """The tensors that training can change: all of them, or all but a frozen encoder's."""
        return {k: v for k, v in self.state_dict().items() if not (self.frozen and k.startswith("encoder."))}
