"""Segmentation masks on disk: gray values or colours of a picture, turned into class numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mtal.datasets.label_map import IGNORE, LabelMap, Value
from mtal.progress import track


def gray_values(path: Path) -> NDArray[np.uint8]:
    """``[H, W]`` gray values of a mask; RGB and RGBA files with equal colour channels count as gray.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image, or its channels differ.
    """
    pixels = _pixels(path)
    if pixels.ndim == 3:
        channels = pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels  # [H, W, 1 or 3], without alpha
        if any((channels[..., c] != channels[..., 0]).any() for c in range(1, channels.shape[2])):
            raise ValueError(f"{path}: the mask's colour channels differ; its classes must be gray values")
        pixels = channels[..., 0]  # [H, W]
    if pixels.dtype not in (np.uint8, np.bool_):
        raise ValueError(f"{path}: the mask has {pixels.dtype} pixels; it must be 8-bit")
    return pixels.astype(np.uint8)


def color_values(path: Path) -> NDArray[np.int32]:
    """``[H, W]`` colours of a mask as 65536 R + 256 G + B; palettes are looked up and alpha is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image.
    """
    red, green, blue = np.moveaxis(_pixels(path, "RGB").astype(np.int32), 2, 0)  # [H, W] each
    return red << 16 | green << 8 | blue


def class_numbers(path: Path, label_map: LabelMap, frame_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """``[H, W]`` class numbers or ``IGNORE``, from the gray values or colours of a mask by ``label_map.values``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: more than ``label_map.stray`` of the pixels have a value that is not listed, or the mask is not of
            ``frame_size`` (H, W).
    """
    pixels = color_values(path) if label_map.colored else gray_values(path)  # [H, W]
    if frame_size is not None and pixels.shape != tuple(frame_size):
        raise ValueError(
            f"{path}: the mask is {_size(pixels.shape)} but its frame is {_size(frame_size)} (height x width)"
        )
    listed = {_packed(value): number for value, number in label_map.values.items()}
    if label_map.colored:
        keys = np.array(sorted(listed), dtype=np.int32)  # [V]
        place = np.minimum(np.searchsorted(keys, pixels), len(keys) - 1)  # [H, W]
        known = keys[place] == pixels  # [H, W]
        classes = np.array([listed[k] for k in keys.tolist()], dtype=np.uint8)[place]  # [H, W]
        classes[~known] = IGNORE
        strays = np.unique(pixels[~known]).tolist()
        share = 1 - known.mean()
    else:
        lookup = np.full(256, IGNORE, dtype=np.uint8)
        lookup[list(listed)] = list(listed.values())
        classes = lookup[pixels]
        counts = np.bincount(pixels.ravel(), minlength=256)  # [256]
        counts[list(listed)] = 0
        strays = np.flatnonzero(counts).tolist()
        share = counts.sum() / pixels.size
    if share > label_map.stray:
        _refuse(path, label_map, strays[0])
    return classes


def class_shares(
    masks: Sequence[Path], label_map: LabelMap, frame_sizes: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """``[N, C]`` share of the pixels of each of N masks that each class covers, in [0, 1]; all masks are checked.

    Masks are read one by one, a few at a time, and none is kept.

    Raises:
        FileNotFoundError: a mask is missing.
        ValueError: a mask holds an unlisted value, or is not of the size of its frame.
    """
    classes = len(label_map.classes)

    def share(mask: Path, frame_size: tuple[int, int]) -> NDArray[np.float64]:
        numbers = class_numbers(mask, label_map, frame_size)
        return np.bincount(numbers.ravel(), minlength=256)[:classes] / numbers.size

    shares = np.zeros((len(masks), classes))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for i, row in enumerate(track(pool.map(share, masks, frame_sizes), "Reading masks", total=len(masks))):
                shares[i] = row
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the first bad mask ends it
            raise
    return shares


def _pixels(path: Path, mode: str | None = None) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the mask is missing; restore it or leave its frame out") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # SyntaxError: what Pillow says of a broken PNG
        raise ValueError(f"{path}: the mask cannot be read ({error}); restore the file") from error


def _packed(value: Value) -> int:
    return value[0] << 16 | value[1] << 8 | value[2] if isinstance(value, tuple) else value


def _refuse(path: Path, label_map: LabelMap, value: int) -> None:
    what = f"colour {(value >> 16, value >> 8 & 255, value & 255)}" if label_map.colored else f"gray value {value}"
    raise ValueError(
        f"{path}: {what} stands for no class of task {label_map.task!r}; listed are {sorted(label_map.values)}"
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
