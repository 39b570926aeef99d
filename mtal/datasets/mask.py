"""Segmentation masks on disk: gray values in a PNG, turned into class numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mtal.datasets.label_map import IGNORE, LabelMap


def gray_values(path: Path) -> NDArray[np.uint8]:
    """``[H, W]`` gray values of a mask; RGB and RGBA files with equal colour channels count as gray.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image, or its channels differ.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the mask is missing; restore it or leave its frame out") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # SyntaxError: what Pillow says of a broken PNG
        raise ValueError(f"{path}: the mask cannot be read ({error}); restore the file") from error
    if pixels.ndim == 3:
        channels = pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels  # [H, W, 1 or 3], without alpha
        if (channels != channels[..., :1]).any():
            raise ValueError(f"{path}: the mask's colour channels differ; its classes must be gray values")
        pixels = channels[..., 0]  # [H, W]
    if pixels.dtype not in (np.uint8, np.bool_):
        raise ValueError(f"{path}: the mask has {pixels.dtype} pixels; it must be 8-bit")
    return pixels.astype(np.uint8)


def class_numbers(path: Path, label_map: LabelMap, frame_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """``[H, W]`` class numbers or ``IGNORE``, from the gray values of a mask by ``label_map.values``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a gray value is not listed, or the mask is not of ``frame_size`` (H, W).
    """
    gray = gray_values(path)
    if frame_size is not None and gray.shape != tuple(frame_size):
        raise ValueError(
            f"{path}: the mask is {_size(gray.shape)} but its frame is {_size(frame_size)} (height x width)"
        )
    unlisted = sorted(set(np.unique(gray).tolist()) - set(label_map.values))
    if unlisted:
        raise ValueError(
            f"{path}: gray value {unlisted[0]} stands for no class of task {label_map.task!r}; "
            f"listed are {sorted(label_map.values)}"
        )
    lookup = np.full(256, IGNORE, dtype=np.uint8)
    lookup[list(label_map.values)] = list(label_map.values.values())
    return lookup[gray]  # [H, W]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
