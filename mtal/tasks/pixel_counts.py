"""Pixels that a head got right and wrong, counted frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.label_map import IGNORE
from mtal.datasets.runs import Runs, confusion
from mtal.frames.window import WHOLE, Window
from mtal.tasks.on_frame import runs_at
from mtal.tasks.surface import Region, hausdorff_95, surface_dice
from mtal.tasks.task import Task

Overlap = NDArray[np.int64]
"""``[3, C]``: annotated pixels that are of each class and said to be, that are of it, and that are said to be."""


class PixelCounts:
    """Counts of one pixel head over many frames, by group.

    Args:
        task: the head.
        tolerance: pixels within which outlines agree, for ``NSD``; ``None`` to leave it out.
        hausdorff: whether to measure ``HD95``.
    """

    def __init__(self, task: Task, tolerance: float | None = None, *, hausdorff: bool = False) -> None:
        self.task = task
        self._of: dict[str, Overlap] = {}
        self._measures: dict[str, Callable[[Region, Region], float]] = {}
        if tolerance is not None:
            self._measures["NSD"] = partial(surface_dice, tolerance=tolerance)
        if hausdorff:
            self._measures["HD95"] = hausdorff_95
        self._surface: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self._measures}

    def add(
        self, logits: Tensor, masks: Sequence[NDArray[np.uint8] | Runs], groups: Sequence[str], window: Window = WHOLE
    ) -> None:
        """More frames, whose masks are of one size.

        Args:
            logits: ``[N, C, h, w]``.
            masks: of N frames, ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where they overlap, or runs of
                either; 255 is left out.
            groups: whom each frame is of.
            window: part of the masks that the maps of logits cover.
        """
        truths = [mask if isinstance(mask, Runs) else Runs.of(mask) for mask in masks]
        truth = Runs.joined(truths)
        said = runs_at(self.task, logits, (truth.shape[-2], truth.shape[-1]), window)
        exclusive = self.task.family == "categorical"
        classes = len(self.task.classes)
        overlaps = _overlaps(truth, said, classes) if exclusive else _overlaps_of_each(truth, said)  # [N, 3, C]
        for group, found in zip(groups, overlaps, strict=True):
            self._of[group] = self._of[group] + found if group in self._of else found
        if self._measures:
            for mask, answer, found in zip(truths, said.pixels(), overlaps, strict=True):
                for name, measure in self._measures.items():
                    self._surface[name].append(self._of_outlines(mask.pixels(), answer, found, measure))

    def surface(self) -> dict[str, NDArray[np.float64]]:
        """By measure, its mean for each class over the frames that show it, ``[C]``; NaN where none does."""
        return {name: self._mean(np.array(some)) for name, some in self._surface.items()}

    def _mean(self, of_frames: NDArray[np.float64]) -> NDArray[np.float64]:
        of_frames = of_frames.reshape(-1, len(self.task.classes))  # [N, C]
        shown = ~np.isnan(of_frames)
        total = np.where(shown, of_frames, 0).sum(axis=0)
        return np.divide(total, shown.sum(axis=0), out=np.full(len(total), np.nan), where=shown.any(axis=0))

    def of(self, group: str) -> Overlap:
        """Of the frames of one group."""
        return self._of.get(group, self._none)

    def total(self) -> Overlap:
        """Of all frames."""
        return np.asarray(sum(self._of.values(), start=self._none))

    def _of_outlines(
        self,
        mask: NDArray[np.uint8],
        said: NDArray[np.uint8],
        found: Overlap,
        measure: Callable[[Region, Region], float],
    ) -> NDArray[np.float64]:
        """Of each class of one frame, ``[C]``; NaN where the label does not show it."""
        scores = np.full(len(self.task.classes), np.nan)
        for c in np.flatnonzero(found[1]).tolist():
            truth = mask == c if mask.ndim == 2 else mask[c] == 1
            told = said == c if mask.ndim == 2 else said[c] == 1
            known = (mask if mask.ndim == 2 else mask[c]) != IGNORE
            scores[c] = measure(told & known, truth)
        return scores

    @property
    def _none(self) -> Overlap:
        return np.zeros((3, len(self.task.classes)), dtype=np.int64)


def _overlaps(truth: Runs, said: Runs, classes: int) -> NDArray[np.int64]:
    table = confusion(truth, said, classes)[:, :classes, :classes]  # rows are the truth
    return np.stack([table.diagonal(axis1=1, axis2=2), table.sum(axis=2), table.sum(axis=1)], axis=1)


def _overlaps_of_each(truth: Runs, said: Runs) -> NDArray[np.int64]:
    """Of runs of ``[N, C, H, W]``."""
    N, C = truth.shape[:2]
    layers = (N * C, *truth.shape[2:])
    table = confusion(truth._replace(shape=layers), said._replace(shape=layers), 2).reshape(N, C, 3, 3)
    return np.stack([table[..., 1, 1], table[..., 1, :].sum(axis=2), table[..., :2, 1].sum(axis=2)], axis=1)
