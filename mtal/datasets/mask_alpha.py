"""Transparent pixels of masks: what was erased may still have its value in the file, where nobody sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtal.frames.picture import upright


def transparent(image: Image.Image, what: str) -> NDArray[np.bool_] | None:
    """``[H, W]`` where a mask is transparent; ``None`` where it is alike all over, which says nothing.

    Args:
        image: the mask.
        what: it is, for messages.

    Raises:
        ValueError: pixels are half transparent, and others are not.
    """
    if not image.has_transparency_data:
        return None
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))  # [H, W]
    if alpha.min() == alpha.max():
        return None
    half = float(((alpha > 0) & (alpha < 255)).mean())
    if half > 0:
        raise ValueError(
            f"{what} is half transparent in {half:.2%} of its pixels, and nothing tells what is there; save it without "
            "transparency"
        )
    return alpha == 0


def visible(
    path: Path, pixels: NDArray[np.int32], hidden: NDArray[np.bool_] | None, one_class: bool
) -> NDArray[np.int32]:
    """``[H, W]`` values of a mask, none of them one that nobody sees. Transparent black is 0, as an empty canvas is.

    Args:
        path: of the mask, for messages.
        pixels: ``[H, W]`` values.
        hidden: ``[H, W]`` where it is transparent; ``None`` for nowhere.
        one_class: of a mask of one class, what is transparent is not there.

    Raises:
        ValueError: in a mask of several classes, transparent pixels have values other than 0.
    """
    if hidden is None:
        return pixels
    if not one_class and pixels[hidden].any():
        raise _erased(path, hidden)
    return np.where(hidden, 0, pixels)


def refuse_transparent(path: Path) -> None:
    """Refuse a mask in which 0 is a class like any other, and that is transparent in places.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is, or it is no whole image.
    """
    with upright(path, "mask") as image:
        hidden = transparent(image, f"{path}: the mask")
    if hidden is not None:
        raise _erased(path, hidden)


def _erased(path: Path, hidden: NDArray[np.bool_]) -> ValueError:
    return ValueError(
        f"{path}: {hidden.mean():.2%} of the mask is transparent, and nothing tells whether a class was erased there; "
        "fill these pixels with the value that they mean, and save it without transparency"
    )
