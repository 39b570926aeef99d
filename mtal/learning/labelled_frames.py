"""The labelled frames in the order in which they are trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mtal.datasets.masks import SomeLabels
from mtal.learning.views import AugmentedInputs
from mtal.scoring.inputs import Inputs, ModelInput


class Batch(NamedTuple):
    """Inputs, labels by task, and the draws that views are made by, where there are any.

    ``beside`` are batches of frames whose labels were derived.
    """

    inputs: ModelInput
    targets: dict[str, Tensor]
    draw: Tensor | None = None
    beside: tuple[Batch, ...] = ()


class LabelledFrames(Dataset[Batch]):
    """Labelled frames in a seeded order: one random permutation after another, cut to steps x batch size.

    The order is laid down beforehand, so there is no sampler whose state a resume would have to restore.

    Args:
        inputs: of all frames.
        positions: ``[n]`` of the labelled ones.
        targets: by task, uint8 ``[n, …]``.
        length: frames to show in all.
        seed: of the order.
        beside: others, each as long as it is to have frames in all of the batches together; with these, batches are
            taken one after the other.
        always_changed: show views and never the frames themselves, where there are views.
    """

    def __init__(
        self,
        inputs: Inputs,
        positions: np.ndarray,
        targets: Mapping[str, SomeLabels],
        length: int,
        seed: int,
        *,
        beside: Sequence[LabelledFrames] = (),
        always_changed: bool = False,
    ) -> None:
        self.inputs = inputs
        self.beside = list(beside)
        self.always_changed = always_changed
        self.positions = positions
        self.targets = dict(targets)
        self.frames = len(positions)
        generator = np.random.default_rng(seed)
        passes = [generator.permutation(len(positions)) for _ in range(math.ceil(length / len(positions)))]
        self.order = np.concatenate(passes)[:length]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, item: int) -> Batch:
        return self.__getitems__([item])

    def __getitems__(self, items: list[int]) -> Batch:
        """A whole batch at once."""
        rows = self.order[items]
        targets = {name: torch.from_numpy(y[rows]) for name, y in self.targets.items()}
        beside = tuple(other.beside_rows(items, len(self)) for other in self.beside)
        if not isinstance(self.inputs, AugmentedInputs):
            return Batch(self.inputs.batch(self.positions[rows]), targets, None, beside)
        passes = np.array(items) // self.frames
        inputs, draw = self.inputs.training_batch(self.positions[rows], passes, always_changed=self.always_changed)
        return Batch(inputs, targets, draw, beside)

    def beside_rows(self, items: list[int], of: int) -> Batch:
        """What goes with consecutive ``items`` of ``of``: the same part of these frames."""
        first, end = (i * len(self) // of for i in (items[0], items[-1] + 1))
        return self.__getitems__(list(range(first, end)))

    def loader(self, batch_size: int) -> DataLoader[Batch]:
        """Batches in order."""
        return DataLoader(self, batch_size, shuffle=False, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch
