"""The model: one encoder, one decoder, a head per task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtal.models.decoders import Decoder, DecoderName, decoder_faults
from mtal.models.encoders import Encoder, Outline
from mtal.models.heads import FrameHead, PixelHead
from mtal.models.loss_prediction import LossPrediction
from mtal.models.members import dropout_masks
from mtal.models.temporal import Temporal, TemporalName, temporal_faults
from mtal.refusals import refuse
from mtal.tasks.task import Task


class HeadLogits(NamedTuple):
    """What a head says before its link function.

    ``logits [N, C]`` and ``features [N, D]`` for a frame head, ``[N, C, h, w]`` and ``[N, D, h, w]`` for a pixel head.
    """

    logits: Tensor
    features: Tensor


class ModelOutput(NamedTuple):
    """Heads by task name, and the pooled output ``shared [N, D]`` of the encoder that they all stand on.

    ``predicted_losses`` are ``[N]`` by task name, where the model has a loss prediction.
    """

    heads: dict[str, HeadLogits]
    shared: Tensor
    predicted_losses: dict[str, Tensor] | None = None


class Represented(NamedTuple):
    """What the heads read: ``shared [N, dim]`` and ``peaks [N, peaks_dim]`` of the encoder, the decoder's map.

    ``decoded [N, channels, h, w]``. ``temporal [N, width]`` is of the frame among its neighbours, where the model looks
    at them.
    """

    shared: Tensor
    peaks: Tensor
    decoded: Tensor
    temporal: Tensor | None = None

    def vectors(self) -> list[Tensor]:
        """What frame heads see: ``[N, dim]``, ``[N, peaks_dim]``, twice ``[N, channels]`` and perhaps ``temporal``."""
        found = [self.shared, self.peaks, self.decoded.mean(dim=(2, 3)), self.decoded.amax(dim=(2, 3))]
        return found if self.temporal is None else [*found, self.temporal]


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
        loss_prediction: also predict each head's loss on a frame; see :class:`~mtal.models.LossPrediction`.
        temporal: ``tcn`` or ``attention``: frame heads also see the pooled vectors of neighbouring frames, which need
            no label; see :class:`~mtal.models.temporal.Temporal`. ``none``: each frame is seen by itself.
        window: neighbours on each side.
        causal: on the side of the past alone.

    Raises:
        ValueError: neighbours are to be looked at, but the encoder is not frozen or no head is one of frames; or an
            option is out of its range or does not go with the encoder.
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
        loss_prediction: bool = False,
        temporal: TemporalName = "none",
        window: int = 4,
        causal: bool = False,
    ) -> None:
        super().__init__()
        refuse(
            model_faults(
                encoder.outline, decoder, channels, hidden, dropout, frozen=frozen, temporal=temporal, window=window
            )
        )
        self.encoder = encoder
        self.decoder = Decoder(encoder, decoder, channels, dropout)
        self.dropout = dropout
        self.frozen = frozen
        self.temporal: Temporal | None = None
        parts = [encoder.dim, encoder.peaks_dim, channels, channels]
        if temporal != "none":
            self.temporal = Temporal(temporal, encoder.dim, window, causal, hidden)
            parts.append(self.temporal.width)
            _refuse_no_frame_head(temporal, tasks)
        heads: dict[str, nn.Module] = {}
        for task in tasks:
            classes = len(task.classes)
            if task.support == "frame":
                heads[task.name] = FrameHead(sum(parts), hidden, classes, dropout)
            else:
                heads[task.name] = PixelHead(channels, classes, dropout)
        self.heads = nn.ModuleDict(heads)
        self.loss_prediction: LossPrediction | None = None
        if loss_prediction:  # made last, so that the other weights are the same with it and without
            self.loss_prediction = LossPrediction(parts, [t.name for t in tasks])
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
        return self.answer(self.represent(inputs))

    def encode(self, inputs: Tensor | list[Tensor]) -> list[Tensor]:
        """Encoder levels of images, or levels computed before; those that the decoder reads in either case.

        Levels may have the vectors of neighbouring frames before them, ``[N, W, dim + 1]``, which stay there.
        """
        levels = inputs
        if isinstance(inputs, Tensor):
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                levels = self.encoder(inputs)
        neighbours, levels = self.parted(list(levels))
        read = levels[-self.decoder.reads :]
        return read if neighbours is None else [neighbours, *read]

    def parted(self, levels: list[Tensor]) -> tuple[Tensor | None, list[Tensor]]:
        """The vectors of neighbouring frames that the model reads and that stand before the levels, and the levels."""
        if self.temporal is None or levels[0].ndim == 4:
            return None, levels
        return levels[0], levels[1:]

    def represent(self, inputs: Tensor | list[Tensor]) -> Represented:
        """All that comes before the heads."""
        neighbours, levels = self.parted(self.encode(inputs))
        shared = self.encoder.pool(levels)
        temporal = None if self.temporal is None else self.temporal(shared, neighbours)
        return Represented(shared, self.encoder.peaks(levels), self.decoder(levels), temporal)

    def answer(self, represented: Represented, vectors: Sequence[Tensor] | None = None) -> ModelOutput:
        """The heads.

        Args:
            represented: what they read.
            vectors: the frame heads' part of it, where :meth:`Represented.vectors` were taken before.
        """
        vectors = represented.vectors() if vectors is None else vectors
        frame = torch.cat(list(vectors), dim=1)  # [N, dim + peaks_dim + 2 channels + width]
        heads = {
            name: HeadLogits(*head(frame if isinstance(head, FrameHead) else represented.decoded))
            for name, head in self.heads.items()
        }
        predicted = None if self.loss_prediction is None else self.loss_prediction(vectors)
        return ModelOutput(heads, represented.shared, predicted)

    def members(self, inputs: Tensor | list[Tensor] | Represented, K: int, seed: int) -> dict[str, Tensor]:
        """Logits of K Monte-Carlo dropout members by task: ``[K, N, C]`` or ``[K, N, C, h, w]``.

        Gal and Ghahramani, ICML 2016. Encoder and decoder run once. Each member is one sub-network: its dropout masks,
        one for the decoder's channels and one for each head, are drawn from the seed and stay the same for every frame
        of every batch. So the members are K functions over the whole pool, whose answers on different frames can be
        joined (BatchBALD, EPIG), and one frame's answers do not depend on its batch.

        No module is switched to training: the masks are multiplied in, and BatchNorm keeps its statistics. The model's
        modes are left as they were, also after an exception.

        Args:
            inputs: images, levels, or what :meth:`represent` made of them in evaluation mode.
            K: number of members, 2 or more.
            seed: of the masks.

        Raises:
            ValueError: the model has no dropout, so all members would be the same, or K is below 2.
        """
        if self.dropout == 0:
            raise ValueError("the model has no dropout, so all its members are the same; set model.dropout above 0")
        if K < 2:
            raise ValueError(f"the number of members must be 2 or more, not {K}")
        with evaluation(self):
            x = inputs if isinstance(inputs, Represented) else self.represent(inputs)
            masks = dropout_masks(self.dropout, K, self.decoder.channels, seed, "decoder").to(x.decoded)
            parts = [part.expand(K, *part.shape) for part in x.vectors()]  # [K, N, ...]
            for i in (2, 3):  # a mask multiplies a channel's mean and, as it is ≥ 0, its peak
                parts[i] = parts[i] * masks.unsqueeze(1)
            frame = torch.cat(parts, dim=2)  # [K, N, D]
            logits = {}
            for name, head in self.heads.items():
                assert isinstance(head, FrameHead | PixelHead)
                own = dropout_masks(self.dropout, K, head.width, seed, f"heads.{name}").to(x.decoded)
                if isinstance(head, FrameHead):
                    logits[name] = head.members(frame, own)
                else:
                    logits[name] = head.members(x.decoded, masks * own)
        return logits

    def trained_state(self) -> Mapping[str, Tensor]:
        """The tensors that training can change: all of them, or all but a frozen encoder's."""
        return {k: v for k, v in self.state_dict().items() if not (self.frozen and k.startswith("encoder."))}


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards each module is in the mode it was in, also after an exception."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def model_faults(
    encoder: Outline | None,
    decoder: str = "auto",
    channels: int = 64,
    hidden: int = 128,
    dropout: float = 0.1,
    *,
    frozen: bool = False,
    temporal: str = "none",
    window: int = 4,
    image_size: tuple[int, int] | None = None,
) -> Iterator[str]:
    """What is wrong with options of :class:`MultiTaskModel`, whatever its heads.

    Args:
        encoder: ``None`` where there is none to tell by.
        decoder: as for :class:`MultiTaskModel`.
        channels: likewise.
        hidden: likewise.
        dropout: likewise.
        frozen: likewise.
        temporal: likewise.
        window: likewise.
        image_size: (H, W) of pictures that are to come in; ``None`` for any.
    """
    yield from decoder_faults(encoder, decoder, channels, dropout, image_size)
    if hidden < 1:
        yield f"model.hidden must be 1 or more, not {hidden}"
    if temporal == "none":
        return
    yield from temporal_faults(temporal, window)
    if not frozen:
        yield (
            f"model.temporal={temporal} reads the features of neighbouring frames, which are there where a frozen "
            "encoder has computed those of all frames; set encoder.frozen=true, or model.temporal=none"
        )


def _refuse_no_frame_head(temporal: str, tasks: Sequence[Task]) -> None:
    if not any(task.support == "frame" for task in tasks):
        raise ValueError(
            f"model.temporal={temporal} is read by heads of whole frames, and tasks has none; set model.temporal=none"
        )
