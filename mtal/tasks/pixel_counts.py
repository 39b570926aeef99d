"""Pixels that a head got right and wrong, counted frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.label_map import IGNORE
from mtal.frames.window import WHOLE, Window
from mtal.tasks.on_frame import said_at
from mtal.tasks.surface import surface_dice
from mtal.tasks.task import Task

Overlap = NDArray[np.int64]
"""``[3, C]``: annotated pixels that are of each class and said to be, that are of it, and that are said to be."""


class PixelCounts:
    """Counts of one pixel head over many frames, by group.

    Args:
        task: the head.
        tolerance: pixels within which outlines agree; ``None`` to look at no outlines.
    """

    def __init__(self, task: Task, tolerance: float | None = None) -> None:
        self.task = task
        self.tolerance = tolerance
        self._of: dict[str, Overlap] = {}
        self._surface: list[NDArray[np.float64]] = []

    def add(self, logits: Tensor, mask: NDArray[np.uint8], group: str = "", window: Window = WHOLE) -> None:
        """One more frame.

        Args:
            logits: ``[C, h, w]``.
            mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where they overlap; 255 is left out.
            group: whom the frame is of.
            window: part of the mask that the map of logits covers.
        """
        size = (mask.shape[-2], mask.shape[-1])
        said = said_at(self.task, logits, size, window)
        exclusive = self.task.family == "categorical"
        found = _overlap(said, mask, len(self.task.classes)) if exclusive else _overlap_of_each(said, mask)
        self._of[group] = self._of[group] + found if group in self._of else found
        if self.tolerance is not None:
            self._surface.append(self._surface_dice(said, mask, found, self.tolerance))

    def surface_dice(self) -> NDArray[np.float64]:
        """Mean normalised surface Dice of each class over the frames that show it, ``[C]``; NaN where none does."""
        of_frames = np.array(self._surface).reshape(-1, len(self.task.classes))  # [N, C]
        shown = ~np.isnan(of_frames)
        total = np.where(shown, of_frames, 0).sum(axis=0)
        return np.divide(total, shown.sum(axis=0), out=np.full(len(total), np.nan), where=shown.any(axis=0))

    def of(self, group: str) -> Overlap:
        """Of the frames of one group."""
        return self._of.get(group, self._none)

    def total(self) -> Overlap:
        """Of all frames."""
        return np.asarray(sum(self._of.values(), start=self._none))

    def _surface_dice(
        self, said: NDArray[np.uint8], mask: NDArray[np.uint8], found: Overlap, tolerance: float
    ) -> NDArray[np.float64]:
        """Of each class of one frame, ``[C]``; NaN where the label does not show it."""
        scores = np.full(len(self.task.classes), np.nan)
        for c in np.flatnonzero(found[1]).tolist():
            truth = mask == c if mask.ndim == 2 else mask[c] == 1
            told = said == c if mask.ndim == 2 else said[c] == 1
            known = (mask if mask.ndim == 2 else mask[c]) != IGNORE
            scores[c] = surface_dice(told & known, truth, tolerance)
        return scores

    @property
    def _none(self) -> Overlap:
        return np.zeros((3, len(self.task.classes)), dtype=np.int64)


def _overlap(said: NDArray[np.uint8], mask: NDArray[np.uint8], classes: int) -> Overlap:  # [H, W], [H, W]
    pairs = mask.astype(np.uint16) << 8 | said  # [H, W]
    table = np.bincount(pairs.ravel(), minlength=256 * 256).reshape(256, 256)[:classes, :classes]  # rows are the truth
    return np.stack([table.diagonal(), table.sum(axis=1), table.sum(axis=0)])


def _overlap_of_each(said: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Overlap:  # [C, H, W], [C, H, W]
    there, told = mask == 1, (said == 1) & (mask != IGNORE)
    return np.stack([np.count_nonzero(x, axis=(1, 2)) for x in (there & told, there, told)])
