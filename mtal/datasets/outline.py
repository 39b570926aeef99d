"""Outlines as COCO writes them in a cell: polygons or run lengths, drawn when they are asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.annotations.shapes import Shape, counts_of, drawn, polygons, runs, told
from mtal.datasets.mask import Size
from mtal.frames.picture import picture_size


@dataclass(frozen=True)
class Outline:
    """A region as a ``segmentation`` of COCO: polygons ``[[x, y, x, y, …], …]``, or run lengths.

    Run lengths are ``{"size": [H, W], "counts": …}`` with a list or text as counts, along columns. No polygon at all is
    a class that is not there.

    Args:
        segmentation: as JSON gives it.
        where: it stands, for messages.
    """

    segmentation: list[Any] | dict[str, Any]
    where: str

    @classmethod
    def parse(cls, text: str, where: str) -> Outline:
        """An outline from JSON.

        Raises:
            ValueError: the text is no JSON, or no segmentation of COCO.
        """
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}: {text[:40]!r} is no JSON ({error})") from error
        if isinstance(found, list):
            rings = [found] if found and not isinstance(found[0], list) else found
            if any(len(ring) < 6 for ring in rings):
                raise ValueError(f"{where}: {text[:40]!r} has a polygon of less than three points x, y")
            return cls(rings, where)
        if not isinstance(found.get("size"), list) or not isinstance(found.get("counts"), (list, str)):
            form = '{"size": [H, W], "counts": …}'
            raise ValueError(f"{where}: {text[:40]!r} has no run lengths; write {form}")  # noqa: TRY004
        return cls(found, where)

    def read(self, frame_size: Size | Path | None) -> NDArray[np.bool_]:  # [H, W]
        """See :class:`mtal.datasets.pixel_labels.Region`."""
        size = picture_size(frame_size) if isinstance(frame_size, Path) else frame_size
        if size is None:
            raise ValueError(f"{self.where}: the size of the frame is not known, so its outline cannot be drawn")
        try:
            shape = self._shape(size)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from error
        return np.zeros(size, dtype=np.bool_) if shape is None else drawn(shape.rle(size))

    def _shape(self, size: Size) -> Shape | None:
        if isinstance(self.segmentation, list):
            return polygons(self.segmentation, size)
        if self.segmentation["size"] != list(size):
            raise ValueError(f"run lengths of the size {self.segmentation['size']} for a frame of {told(size)}")
        counts = self.segmentation["counts"]
        return runs(counts_of(counts) if isinstance(counts, str) else counts, (0, 0, *size), size)
