"""Pictures and masks of 12 x 16 pixels: 3 x 4 squares, each a twelfth of the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

H, W = 12, 16


def grow(squares: list[list[int]]) -> np.ndarray:
    """``[H, W]`` from 3 x 4 gray values, or ``[H, W, 3]`` from 3 x 4 colours."""
    return np.array(squares, dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def shrink(mask: np.ndarray) -> list[list[int]]:
    """The 3 x 4 squares of a mask, each of which must be of one value."""
    blocks = mask.reshape(3, 4, 4, 4)
    assert (blocks == blocks[:, :1, :, :1]).all()
    return blocks[:, 0, :, 0].tolist()


def picture(number: int) -> np.ndarray:
    """``[H, W, 3]`` that tells its number by its gray value."""
    return np.full((H, W, 3), 10 + number % 20 * 12, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
