"""Pixels that a head got right and wrong, counted frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.label_map import IGNORE
from mtal.frames.window import WHOLE, Window
from mtal.tasks.on_frame import runs_at
from mtal.tasks.runs import Runs, confusion
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

    def add(self, logits: Tensor, mask: NDArray[np.uint8], group: str = "", window: Window = WHOLE) -> None:
        """One more frame.

        Args:
            logits: ``[C, h, w]``.
            mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where they overlap; 255 is left out.
            group: whom the frame is of.
            window: part of the mask that the map of logits covers.
        """
        size = (mask.shape[-2], mask.shape[-1])
        said = runs_at(self.task, logits, size, window)
        exclusive = self.task.family == "categorical"
        found = _overlap(said, mask, len(self.task.classes)) if exclusive else _overlap_of_each(said.pixels(), mask)
        self._of[group] = self._of[group] + found if group in self._of else found
        for name, measure in self._measures.items():
            self._surface[name].append(self._of_outlines(said.pixels(), mask, found, measure))

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
        said: NDArray[np.uint8],
        mask: NDArray[np.uint8],
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


def _overlap(said: Runs, mask: NDArray[np.uint8], classes: int) -> Overlap:  # [H, W], [H, W]
    table = confusion(Runs.of(mask), said, classes)[:classes, :classes]  # rows are the truth
    return np.stack([table.diagonal(), table.sum(axis=1), table.sum(axis=0)])


def _overlap_of_each(said: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Overlap:  # [C, H, W], [C, H, W]
    there, told = mask == 1, (said == 1) & (mask != IGNORE)
    return np.stack([np.count_nonzero(x, axis=(1, 2)) for x in (there & told, there, told)])
