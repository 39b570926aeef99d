"""A sheet of frames with their labels, to see whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mtal.reporting.overlay import blend

_COLUMNS = 3


@dataclass(frozen=True)
class LabelledPicture:
    """One frame with what was annotated in it.

    Args:
        title: frame and split.
        image: ``[H, W, 3]`` RGB.
        masks: ``[H, W]`` class numbers for each pixel task, or ``[C, H, W]`` of 0 and 1 where its classes overlap;
            255 = not annotated.
        tags: what is said of the whole frame, one line per task.
    """

    title: str
    image: NDArray[np.uint8]
    masks: Sequence[NDArray[np.uint8]]
    tags: Sequence[str]


def write_label_sheet(
    path: Path,
    pictures: Sequence[LabelledPicture],
    legends: Sequence[tuple[Sequence[str], Sequence[tuple[int, int, int]]]],
) -> Path:
    """Draw each picture beside itself with its masks on it, with its tags below.

    Args:
        path: a PNG file.
        pictures: what to draw.
        legends: class names and colours of each pixel task, in the order of the masks.

    Raises:
        ValueError: image and mask differ in size, or there is no picture.
    """
    if not pictures:
        raise ValueError(f"{path}: there is no picture to draw")
    tiles = [_tile(picture, [colors for _, colors in legends]) for picture in pictures]
    lines = max(len(p.tags) for p in pictures)
    rows = -(-len(pictures) // _COLUMNS)
    height, width = tiles[0].shape[:2]
    cell_width = 5.0
    cell_height = cell_width * height / width + 0.35 + 0.16 * lines
    with mpl.rc_context({"text.parse_math": False}):  # names may hold dollars
        figure = Figure(figsize=(_COLUMNS * cell_width, rows * cell_height + 0.6), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, _COLUMNS, squeeze=False)
        for cell in axes.ravel():
            cell.set_axis_off()
        for cell, picture, tile in zip(axes.ravel(), pictures, tiles, strict=False):
            cell.imshow(tile)
            cell.set_title(picture.title, fontsize=9)
            cell.text(0, -0.03, "\n".join(picture.tags), transform=cell.transAxes, fontsize=8, va="top")
        handles = [
            Patch(color=(color[0] / 255, color[1] / 255, color[2] / 255), label=name)
            for names, colors in legends
            for name, color in zip(names, colors, strict=True)
        ]
        if handles:
            figure.legend(
                handles=handles, loc="outside lower center", ncols=min(7, len(handles)), fontsize=8, frameon=False
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    return path


def _tile(picture: LabelledPicture, palettes: Sequence[Sequence[tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """``[H, W', 3]``: the image, and the image under each of its masks, side by side."""
    overlays = [blend(picture.image, m, colors) for m, colors in zip(picture.masks, palettes, strict=True)]
    return np.concatenate([picture.image, *overlays], axis=1)
