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
        mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where classes overlap, whose colours are mixed where
            several are; 255 (not annotated) stays fully transparent.
        colors: C RGB triples.
        alpha: opacity of the inside, 0 to 1.

    Returns:
        ``[H, W, 4]`` RGBA.

    Raises:
        ValueError: a value in the mask is neither a class nor 255, or its layers are not one for each class.
    """
    if mask.ndim == 3:
        return _colorize_layers(mask, colors, alpha)
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
        mask: as for :func:`colorize`.
        colors: C RGB triples.
        alpha: opacity of the inside of a structure.

    Returns:
        ``[H, W, 3]`` RGB.

    Raises:
        ValueError: image and mask differ in size, or see :func:`colorize`.
    """
    if image.shape[:2] != mask.shape[-2:]:
        raise ValueError(f"the image is {image.shape[:2]} but its mask is {mask.shape[-2:]} (height, width)")
    layer = colorize(mask, colors, alpha).astype(np.float64)  # [H, W, 4]
    opacity = layer[..., 3:] / 255  # [H, W, 1]
    return np.rint(opacity * layer[..., :3] + (1 - opacity) * image).astype(np.uint8)


def _colorize_layers(mask: UInt8, colors: Sequence[tuple[int, int, int]], alpha: float) -> UInt8:
    strays = mask[(mask > 1) & (mask != IGNORE)]
    if strays.size:
        raise ValueError(
            f"the mask holds the value {strays[0]}, but where classes overlap each is there (1) or not (0)"
        )
    if len(mask) != len(colors):
        raise ValueError(f"the mask has {len(mask)} layers, but there are {len(colors)} classes")
    there = mask == 1  # [C, H, W]
    classes = there.sum(axis=0)  # [H, W]
    mixed = np.tensordot(there, np.asarray(colors), axes=(0, 0)) / np.maximum(classes, 1)[..., None]  # [H, W, 3]
    layer = np.rint(np.dstack([mixed, np.where(classes > 0, round(255 * alpha), 0)])).astype(np.uint8)  # [H, W, 4]
    for inside, color in zip(there, colors, strict=True):
        layer[_rim(inside)] = (*color, 255)
    return layer


def _rim(mask: NDArray[np.uint8 | np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is of another class: one side of each border only, so it stays thin."""
    rim = np.zeros(mask.shape, dtype=np.bool_)  # [H, W]
    rim[:-1] |= mask[:-1] != mask[1:]
    rim[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    return rim
