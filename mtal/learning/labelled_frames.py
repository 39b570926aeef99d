"""The labelled frames in the order in which they are trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mtal.datasets.masks import SomeLabels
from mtal.learning.inputs import Inputs, ModelInput
from mtal.learning.views import AugmentedInputs

Batch = tuple[ModelInput, dict[str, Tensor], Tensor | None]
"""Inputs, labels by task, and the draws that views are made by, where there are any."""


class LabelledFrames(Dataset[Batch]):
    """Labelled frames in a seeded order: one random permutation after another, cut to steps x batch size.

    The order is laid down beforehand, so there is no sampler whose state a resume would have to restore.
    """

    def __init__(
        self, inputs: Inputs, positions: np.ndarray, targets: Mapping[str, SomeLabels], length: int, seed: int
    ) -> None:
        self.inputs = inputs
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
        if not isinstance(self.inputs, AugmentedInputs):
            return self.inputs.batch(self.positions[rows]), targets, None
        inputs, draw = self.inputs.training_batch(self.positions[rows], np.array(items) // self.frames)
        return inputs, targets, draw

    def loader(self, batch_size: int) -> DataLoader[Batch]:
        """Batches in order."""
        return DataLoader(self, batch_size, shuffle=False, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch
