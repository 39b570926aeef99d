"""Outlines in annotation files, drawn as masks: polygons, run lengths and mask images.

Letters: H, W size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mtal.datasets.mask import Size, is_there

Rle = dict[str, Any]
"""Run lengths as pycocotools has them: small, and its area and its mask are quick to get."""


class Shape(Protocol):
    """Part of an image."""

    def rle(self, size: Size) -> Rle:
        """The part as run lengths of an image of ``size``.

        Raises:
            FileNotFoundError: the file that it is read from is missing.
            ValueError: that file is broken or of another size.
        """
        ...


@dataclass(frozen=True)
class Polygons:
    """What lies in any of several polygons.

    A pixel is the square from its number to the next, so that a polygon over (1, 1) and (3, 2) covers the pixels 1 and
    2 of row 1; rasters are those of pycocotools, which COCO, CVAT and Datumaro use.

    Args:
        rings: x, y, x, y, … of three points or more each.
    """

    rings: tuple[NDArray[np.float64], ...]

    def rle(self, size: Size) -> Rle:
        """See :meth:`Shape.rle`."""
        parts = coco_mask.frPyObjects([ring.tolist() for ring in self.rings], *size)
        return coco_mask.merge(parts)


@dataclass(frozen=True)
class Runs:
    """Pixels by run lengths, of which the first is of pixels that do not belong.

    Args:
        counts: lengths, which sum to height x width.
        window: (top, left, height, width) of what they run over.
        by_rows: they run along rows (CVAT), not along columns (COCO).
    """

    counts: NDArray[np.int64]
    window: tuple[int, int, int, int]
    by_rows: bool = False

    def rle(self, size: Size) -> Rle:
        """See :meth:`Shape.rle`."""
        top, left, height, width = self.window
        belongs = np.arange(len(self.counts)) % 2 == 1
        inside = np.repeat(belongs, self.counts).reshape(height, width, order="C" if self.by_rows else "F")
        mask = np.zeros(size, dtype=np.uint8, order="F")
        mask[top : top + height, left : left + width] = inside
        return coco_mask.encode(mask)


@dataclass(frozen=True)
class MaskImage:
    """Where an image file of 0 and one other value is not 0."""

    path: Path

    def rle(self, size: Size) -> Rle:
        """See :meth:`Shape.rle`."""
        return coco_mask.encode(np.asfortranarray(is_there(self.path, size), dtype=np.uint8))


def drawn(rle: Rle) -> NDArray[np.bool_]:
    """``[H, W]`` of run lengths."""
    height, width = rle["size"]
    counts = counts_of(rle["counts"].decode())
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def polygons(rings: Sequence[Sequence[float]], size: Size) -> Polygons | None:
    """Polygons that were checked; those of one or two points have no area and are left out, ``None`` if all are.

    Args:
        rings: x, y, x, y, … in pixels.
        size: of the image.

    Raises:
        ValueError: a polygon is no list of points, or lies far from the image.
    """
    arrays = []
    for ring in rings:
        try:
            values = np.asarray(ring, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"a polygon holds {str(ring)[:40]!r}, which is no list of numbers") from None
        if values.ndim != 1 or len(values) % 2:
            raise ValueError(f"a polygon of {values.size} numbers, which are no points")
        limits = np.array([size[1], size[0]])
        points = values.reshape(-1, 2)
        if not (np.isfinite(points).all() and (points >= -limits).all() and (points <= 2 * limits).all()):
            wrong = points[~((points >= -limits) & (points <= 2 * limits)).all(axis=1)][0].tolist()
            raise ValueError(f"a polygon with a point at {wrong[0]:g}, {wrong[1]:g}, far outside of {told(size)}")
        if len(points) > 2:
            arrays.append(values)
    return Polygons(tuple(arrays)) if arrays else None


def runs(counts: Sequence[int] | None, window: tuple[int, int, int, int], size: Size, by_rows: bool = False) -> Runs:
    """Run lengths that were checked; arguments as for :class:`Runs`.

    Raises:
        ValueError: the lengths do not fill the window, or the window is not in the image.
    """
    lengths = np.asarray(counts)
    top, left, height, width = window
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer) or (lengths < 0).any():
        raise ValueError("run lengths that are no list of whole numbers from 0 on")
    if min(top, left) < 0 or min(height, width) < 1 or top + height > size[0] or left + width > size[1]:
        raise ValueError(
            f"a mask of {told((height, width))} at row {top}, column {left}, which is not in the {told(size)} image"
        )
    total = int(lengths.sum())
    if total != height * width:
        raise ValueError(f"run lengths of {total} pixels for a mask of {told((height, width))}")
    return Runs(lengths.astype(np.int64), window, by_rows)


def counts_of(text: str) -> list[int]:
    """Run lengths that COCO has compressed to text: 5 bits a character, low ones first, differences from the third on.

    Raises:
        ValueError: the text is no such code.

    >>> counts_of("52203")
    [5, 2, 2, 2, 5]
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"compressed run lengths with the character {character!r}")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("compressed run lengths that break off")
    return counts


def told(size: Sequence[int]) -> str:
    """``"480x854 (height x width)"``."""
    return f"{size[0]}x{size[1]} (height x width)"
