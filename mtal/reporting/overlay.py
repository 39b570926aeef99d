"""Class masks drawn over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtal.reporting.run_reader import IGNORE

UInt8 = NDArray[np.uint8]


def colorize(mask: UInt8, colors: Sequence[tuple[int, int, int]], alpha: float = 0.4) -> UInt8:
    """A class mask as a see-through layer: filled at ``alpha``, with an opaque rim one pixel wide.

    The rim keeps a structure's outline legible where its colour is close to the tissue's.

    Args:
        mask: ``[H, W]`` class numbers; 255 (not annotated) stays fully transparent.
        colors: C RGB triples.
        alpha: opacity of the inside, 0 to 1.

    Returns:
        ``[H, W, 4]`` RGBA.

    Raises:
        ValueError: a value in the mask is neither a class nor 255.
    """
    annotated = mask != IGNORE  # [H, W]
    beyond = mask[annotated & (mask >= len(colors))]
    if beyond.size:
        raise ValueError(f"the mask holds the value {beyond[0]}, but there are only {len(colors)} classes")
    palette = np.zeros((256, 3), dtype=np.uint8)  # [256, 3]
    palette[: len(colors)] = np.asarray(colors, dtype=np.uint8).reshape(-1, 3)
    opacity = np.where(_rim(mask), 255, round(255 * alpha))  # [H, W]
    layer = np.dstack([palette[mask], np.where(annotated, opacity, 0)])  # [H, W, 4]
    return layer.astype(np.uint8)


def blend(image: UInt8, mask: UInt8, colors: Sequence[tuple[int, int, int]], alpha: float = 0.4) -> UInt8:
    """``a · colour + (1 − a) · image`` at every pixel, a as in :func:`colorize`.

    Args:
        image: ``[H, W, 3]`` RGB.
        mask: ``[H, W]`` class numbers, 255 = not annotated.
        colors: C RGB triples.
        alpha: opacity of the inside of a structure.

    Returns:
        ``[H, W, 3]`` RGB.

    Raises:
        ValueError: image and mask differ in size, or a value in the mask is no class.
    """
    if image.shape[:2] != mask.shape:
        raise ValueError(f"the image is {image.shape[:2]} but its mask is {mask.shape} (height, width)")
    layer = colorize(mask, colors, alpha).astype(np.float64)  # [H, W, 4]
    opacity = layer[..., 3:] / 255  # [H, W, 1]
    return np.rint(opacity * layer[..., :3] + (1 - opacity) * image).astype(np.uint8)


def _rim(mask: UInt8) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is of another class: one side of each border only, so it stays thin."""
    rim = np.zeros(mask.shape, dtype=np.bool_)  # [H, W]
    rim[:-1] |= mask[:-1] != mask[1:]
    rim[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    return rim
