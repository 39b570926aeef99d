"""Segmentation masks on disk: gray values or colours of a picture, turned into class numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.label_map import IGNORE, LabelMap, Value
from mtal.datasets.lossy_mask import is_lossy, nearest_values
from mtal.datasets.mask_alpha import transparent, visible
from mtal.datasets.threads import in_threads
from mtal.frames.picture import is_indexed, loses_depth, picture_size, upright
from mtal.refusals import Refusals

Size = tuple[int, int]
"""(H, W)."""
_TOLD = 8  # values in a message
_SEEN = 0.005  # share of a mask below which a value may be made by compression
_NEARLY_GRAY = 16  # channels of a gray picture may differ by so much after compression


def gray_values(path: Path) -> NDArray[np.uint8]:
    """``[H, W]`` gray values of a mask; RGB and RGBA files with equal colour channels count as gray.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image, its channels differ, a value is above 255, or it is transparent where it
            has other values than 0.
    """
    return _gray(path).pixels.astype(np.uint8)


def class_numbers(path: Path, label_map: LabelMap, frame_size: Size | Path | None = None) -> NDArray[np.uint8]:
    """``[H, W]`` class numbers or ``IGNORE``, from the gray values or colours of a mask by ``label_map.values``.

    In a format that changes values, such as JPEG, a pixel has the nearest value, see :func:`nearest_values`.

    Args:
        path: the file.
        label_map: what its values mean; where classes overlap, in the mask of one, which transparent pixels are not of.
        frame_size: (H, W) that the mask must have, or the picture that has it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: more than ``label_map.stray`` of the pixels have a value that is not listed, the mask is not of the
            size of its frame, or it is transparent where it has other values than 0.
    """
    listed = {_packed(value): number for value, number in label_map.values.items()}
    values = np.array(sorted(listed), dtype=np.int32)  # [V]
    one_class = not label_map.exclusive
    pixels, lossy = _colors(path, one_class) if label_map.colored else _listed_grays(path, values, one_class)  # [H, W]
    check_size(path, pixels, frame_size)
    meanings = np.array([listed[v] for v in values.tolist()], dtype=np.uint8)  # [V]
    if lossy:
        return nearest_values(path, pixels, values, meanings, IGNORE)
    if label_map.colored:
        place = np.minimum(np.searchsorted(values, pixels), len(values) - 1)  # [H, W]
        known = values[place] == pixels  # [H, W]
        classes = np.where(known, meanings[place], IGNORE).astype(np.uint8)
    else:
        lookup, known_grays = np.full(256, IGNORE, dtype=np.uint8), np.zeros(256, dtype=bool)
        lookup[values], known_grays[values] = meanings, True
        classes, known = lookup.take(pixels), known_grays.take(pixels)
    strays = 1 - float(known.mean())
    if strays > label_map.stray:
        unlisted = np.unique(pixels[~known]).tolist()
        what, stands = ("colour" if label_map.colored else "gray value"), "stands"
        if len(unlisted) > 1:
            what, stands = f"{what}s", "stand"
        raise ValueError(
            f"{path}: {what} {told_values(unlisted, label_map.colored)} {stands} for no class of task "
            f"{label_map.task!r} ({strays:.2%} of the pixels); listed are "
            f"[{told_values(values.tolist(), label_map.colored, len(values))}]"
        )
    return classes


def is_there(path: Path, frame_size: Size | Path | None = None) -> NDArray[np.bool_]:
    """``[H, W]``: where a binary mask, 0 and one other value, has its class; nowhere that it is transparent.

    Of an indexed picture these are what is seen, not the numbers of its palette.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image, holds several values besides 0, or is not of the size of its frame.
    """
    indexed = is_indexed(path)
    pixels, lossy = _colors(path, one_class=True) if indexed else _gray(path, one_class=True)[:2]  # [H, W]
    check_size(path, pixels, frame_size)
    if lossy and pixels.any():
        values, meanings = np.array([0, pixels.max()], dtype=np.int32), np.array([0, 1], dtype=np.uint8)
        return nearest_values(path, pixels, values, meanings, 0) == 1
    held = np.unique(pixels[pixels > 0]).tolist()
    if len(held) > 1:
        raise ValueError(
            f"{path}: the mask of one class must hold 0 and one other value, but it holds {told_values(held, indexed)} "
            "besides 0"
        )
    return pixels > 0


@dataclass(frozen=True)
class HeldValues:
    """Values of a mask file: gray ones, or colours as 65536 R + 256 G + B.

    Args:
        values: of an indexed picture the numbers in it; where the format may have changed them, only those of half a
            percent of the pixels or more.
        colored: they are colours.
        lossy: the format may have changed them.
        shares: of each value that is there the share of pixels, in [0, 1].
        palette: of an indexed picture, number in it → colour.
        gray_palette: there is no colour in all of its palette, of which ``palette`` has what is used.
    """

    values: frozenset[int]
    colored: bool
    lossy: bool
    shares: Mapping[int, float] = field(default_factory=dict)
    palette: Mapping[int, int] = field(default_factory=dict)
    gray_palette: bool = False


def held_values(path: Path) -> HeldValues:
    """What a mask of several classes holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole image, or is transparent where it has other values than 0.
    """
    colored, seen = False, None
    try:
        pixels, lossy, seen = _gray(path)
    except ValueError:  # its channels differ
        colored = True
        pixels, lossy = _colors(path)
    values, first, counts = np.unique(pixels, return_index=True, return_counts=True)  # [V] each
    palette = {}
    if not colored and is_indexed(path):
        palette = dict(zip(values.tolist(), _colors(path)[0].ravel()[first].tolist(), strict=True))
    held = frozenset(values[counts >= lossy * _SEEN * pixels.size].tolist())
    shares = dict(zip(values.tolist(), (counts / pixels.size).tolist(), strict=True))
    return HeldValues(held, colored, lossy, shares, palette, seen is not None)


def told_values(values: Iterable[int], colored: bool, most: int = _TOLD) -> str:
    """Values as options have them: ``7`` or ``255/0/0``.

    >>> told_values([0, 0xFF0080], colored=True)
    '0/0/0, 255/0/128'
    """
    told = [f"{v >> 16}/{v >> 8 & 255}/{v & 255}" if colored else str(v) for v in values]
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")


def check_size(path: Path, mask: NDArray[np.integer[Any]], frame_size: Size | Path | None) -> None:
    """Refuse a mask ``[H, W]`` that is not of the size of its frame, (H, W) or the picture that has it.

    Raises:
        ValueError: the sizes differ.
    """
    size = picture_size(frame_size) if isinstance(frame_size, Path) else frame_size
    if size is not None and mask.shape != tuple(size):
        raise ValueError(
            f"{path}: the mask is {_size(mask.shape)} but its frame is {_size(tuple(size))} (height x width)"
        )


def class_shares(
    masks: Sequence[Path], label_map: LabelMap, frame_sizes: Sequence[Size | Path | None]
) -> NDArray[np.float64]:
    """``[N, C]`` share of the pixels of each of N masks that each class covers, in [0, 1]; all masks are checked.

    Masks are read one by one, a few at a time, and none is kept.

    Raises:
        FileNotFoundError: masks are missing.
        ValueError: masks hold unlisted values, or are not of the size of their frames.
    """
    classes = len(label_map.classes)
    refusals = Refusals()

    def share(mask: Path, frame_size: Size | Path | None) -> NDArray[np.float64]:
        with refusals:
            numbers = class_numbers(mask, label_map, frame_size)
            return np.bincount(numbers.ravel(), minlength=256)[:classes] / numbers.size
        return np.zeros(classes)

    pairs = list(zip(masks, frame_sizes, strict=True))
    shares = in_threads(lambda pair: share(*pair), pairs, "Reading masks")
    refusals.tell()
    return np.array(shares).reshape(len(masks), classes)


class _Grays(NamedTuple):
    """Gray values ``[H, W]``, and whether the format may have changed them.

    ``seen`` is what an indexed picture looks like whose palette has no colour, ``pixels`` the numbers in it; else None.
    Numbers with colours to tell them apart, as of Pascal VOC, are numbers of classes.
    """

    pixels: NDArray[np.int32]
    lossy: bool
    seen: NDArray[np.int32] | None = None


def _gray(path: Path, one_class: bool = False) -> _Grays:
    _refuse_deep_colors(path)
    with upright(path, "mask") as image:
        hidden = transparent(image, f"{path}: the mask")
        if image.mode == "P" and not np.ptp(np.array(image.getpalette("RGB")).reshape(-1, 3), axis=1).any():
            seen = np.asarray(image.convert("RGBA").convert("L"), dtype=np.int32)
            pixels = visible(path, np.asarray(image, dtype=np.int32), hidden, one_class)
            return _Grays(pixels, is_lossy(path, image.format), visible(path, seen, hidden, one_class))
        lossy = is_lossy(path, image.format)
        if lossy and image.mode != "L":
            rgb = np.asarray(image.convert("RGB"), dtype=np.int32)
            pixels = rgb if np.ptp(rgb, axis=2).max(initial=0) > _NEARLY_GRAY else np.asarray(image.convert("L"))
        else:
            pixels = np.asarray(image)
    if pixels.ndim == 3:
        channels = pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels  # [H, W, 1 or 3], without alpha
        if any((channels[..., c] != channels[..., 0]).any() for c in range(1, channels.shape[2])):
            raise ValueError(f"{path}: the mask's colour channels differ; its classes must be gray values")
        pixels = channels[..., 0]  # [H, W]
    if not (np.issubdtype(pixels.dtype, np.integer) or pixels.dtype == np.bool_) or pixels.max(initial=0) > 255:
        raise ValueError(
            f"{path}: the mask has {pixels.dtype} values up to {pixels.max(initial=0)}, but values of classes are "
            "8-bit, whole numbers from 0 to 255"
        )
    return _Grays(visible(path, pixels.astype(np.int32), hidden, one_class), lossy)


def _listed_grays(path: Path, listed: NDArray[np.int32], one_class: bool) -> tuple[NDArray[np.int32], bool]:
    """As :func:`_gray`; of an indexed picture in shades of gray the numbers or what is seen, whichever is listed.

    Raises:
        ValueError: both are, and are not the same.
    """
    pixels, lossy, seen = _gray(path, one_class)
    if seen is None or not np.isin(seen, listed).all() or np.array_equal(seen, pixels):
        return pixels, lossy
    if np.isin(pixels, listed).all():
        raise ValueError(
            f"{path}: the mask is an indexed picture, and the numbers in it ({told_values(np.unique(pixels), False)}) "
            f"and the grays that they look like ({told_values(np.unique(seen), False)}) both stand for classes; save "
            "it as 8-bit gray"
        )
    return seen, lossy


def _colors(path: Path, one_class: bool = False) -> tuple[NDArray[np.int32], bool]:
    """``[H, W]`` colours as 65536 R + 256 G + B, and whether the format may have changed them."""
    _refuse_deep_colors(path)
    with upright(path, "mask") as image:
        hidden = transparent(image, f"{path}: the mask")
        rgba = image.convert("RGBA") if image.mode in ("P", "PA") else image
        red, green, blue = np.moveaxis(np.asarray(rgba.convert("RGB"), dtype=np.int32), 2, 0)  # [H, W] each
        return visible(path, red << 16 | green << 8 | blue, hidden, one_class), is_lossy(path, image.format)


def _refuse_deep_colors(path: Path) -> None:
    if path.is_file() and loses_depth(path):
        raise ValueError(
            f"{path}: the mask has 16 bits in each of several channels, of which only the upper 8 are read; save it "
            "with 8 bits a channel, or as gray"
        )


def _packed(value: Value) -> int:
    return value[0] << 16 | value[1] << 8 | value[2] if isinstance(value, tuple) else value


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
