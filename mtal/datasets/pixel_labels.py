"""Masks other than one file of class numbers in the values of its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.label_map import IGNORE, LabelMap, Values
from mtal.datasets.mask import Size, is_there


@dataclass(frozen=True)
class MaskFile:
    """A mask whose values have a meaning of their own, as where each organ has binary masks.

    Args:
        path: the file.
        values: as in :class:`LabelMap`, in place of those of the task.
    """

    path: Path
    values: Values


class Region(Protocol):
    """Where one class is in one frame."""

    def read(self, frame_size: Size | Path | None) -> NDArray[np.bool_]:
        """``[H, W]``.

        Args:
            frame_size: (H, W) of the frame, or its picture; ``None`` if it is not known.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: it cannot be read, or is not of the size of its frame.
        """
        ...


@dataclass(frozen=True)
class BinaryMask:
    """A file with 0 and one other value, which says where a class is."""

    path: Path

    def read(self, frame_size: Size | Path | None) -> NDArray[np.bool_]:  # [H, W]
        """See :class:`Region`."""
        return is_there(self.path, frame_size)


@dataclass(frozen=True)
class Regions:
    """A region for each class of a frame, in the order of the label map's; a mask that is drawn when it is asked for.

    Where classes overlap, each has a layer of its own, and one that is ``None`` was not annotated. Where they exclude
    each other, a later class covers an earlier one, and ``rest`` is what no region covers.

    Args:
        regions: one for each class, of which one at least is there.
        rest: number of the class of all other pixels, where classes exclude each other.
    """

    regions: Sequence[Region | None]
    rest: int = IGNORE

    def read(self, label_map: LabelMap, frame_size: Size | Path | None) -> NDArray[np.uint8]:  # [H, W] or [C, H, W]
        """See :class:`mtal.datasets.label_table.DrawnMask`."""
        drawn = [None if r is None else r.read(frame_size) for r in self.regions]
        size = next(there.shape for there in drawn if there is not None)
        if label_map.exclusive:
            numbers = np.full(size, self.rest, dtype=np.uint8)  # [H, W]
            for number, there in enumerate(drawn):
                if there is not None:
                    numbers[there] = number
            return numbers
        layers = [np.full(size, IGNORE, dtype=np.uint8) if there is None else there for there in drawn]
        return np.stack(layers).astype(np.uint8)  # [C, H, W]
