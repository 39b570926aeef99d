"""How a frame of any shape becomes a picture of the model's size, and its mask with it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtal.frames.window import WHOLE, Window
from mtal.suggest import nearest

Fit = Literal["stretch", "letterbox", "content"]
"""All of the frame without regard to its aspect; all of it between black bars; or what the endoscope shows."""

Size = tuple[int, int]
"""(H, W)."""

_SIDE = 256  # pixels along the longer side that are enough to see where the picture begins
_LIT = 20  # of 255: compressed black stays below
_THIN = 5  # pixels of these; writing beside the picture is thinner
_LEAST = 0.1  # of the frame; what is smaller is no picture, but all that is lit in a dark recording


class Box(NamedTuple):
    """Where the endoscope's picture is, in heights and widths of the frame."""

    top: float
    left: float
    bottom: float
    right: float


ALL = Box(0.0, 0.0, 1.0, 1.0)


def check_fit(fit: str) -> None:
    """Refuse what is no :data:`Fit`.

    Raises:
        ValueError: it is none.
    """
    choices = get_args(Fit)
    if fit not in choices:
        raise ValueError(
            f"frames.fit must be {', '.join(choices[:-1])} or {choices[-1]}, not {fit!r}{nearest(fit, choices)}"
        )


def window_for(fit: Fit, frame: Size, size: Size, content: Box = ALL) -> Window:
    """The part of a frame that a picture of ``size`` shows.

    With ``letterbox`` and ``content`` it has the aspect of the picture and is the smallest that holds the frame, or its
    content. It reaches beyond the frame only where there is no other place for it, and then as far on both sides.

    >>> window_for("letterbox", (480, 640), (128, 128))
    Window(top=-0.16666666666666666, left=0.0, height=1.3333333333333333, width=1.0)
    """
    if fit == "stretch":
        return WHOLE
    box = content if fit == "content" else ALL
    spans = ((box.top, box.bottom), (box.left, box.right))
    scale = max((end - start) * side / pixels for (start, end), side, pixels in zip(spans, frame, size, strict=True))
    starts, lengths = [], []
    for (start, end), side, pixels in zip(spans, frame, size, strict=True):
        length = scale * pixels / side
        if math.isclose(length, 1, rel_tol=1e-9):
            length = 1.0
        middle = 0.5 if length >= 1 else min(max((start + end) / 2, length / 2), 1 - length / 2)
        starts.append(middle - length / 2)
        lengths.append(length)
    return Window(*starts, *lengths)


def fitted(picture: NDArray[np.uint8], size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """What ``window`` shows of ``picture [H, W, 3]``, at ``size`` ``[h, w, 3]``; black beyond the frame.

    Averages over the pixels that fall together: bilinear with antialiasing.
    """
    return _resized(picture, size, window, Image.Resampling.BILINEAR, 0)


def fitted_mask(mask: NDArray[np.uint8], size: Size, window: Window = WHOLE, *, beyond: int) -> NDArray[np.uint8]:
    """The same of ``[H, W]`` or ``[C, H, W]`` class numbers, by nearest neighbour; ``beyond`` the frame."""
    if mask.ndim == 3:
        return np.stack([fitted_mask(layer, size, window, beyond=beyond) for layer in mask])
    return _resized(mask, size, window, Image.Resampling.NEAREST, beyond)


def padding(size: Size, window: Window = WHOLE) -> NDArray[np.bool_]:
    """Which pixels of a picture of ``size`` have their middles beyond the frame, ``[h, w]``."""
    rows, columns = (
        np.abs(window[axis] + (np.arange(pixels) + 0.5) / pixels * window[axis + 2] - 0.5) > 0.5
        for axis, pixels in enumerate(size)
    )
    return rows[:, None] | columns


def shares_inside(cells: Size, window: Window = WHOLE) -> NDArray[np.float32]:
    """How much of each of h x w cells of the picture lies on the frame, ``[h, w]`` in [0, 1]."""
    along = []
    for axis, n in enumerate(cells):
        edges = (window[axis] + np.arange(n + 1) / n * window[axis + 2]).clip(0, 1)  # of cells, in frames
        along.append(np.diff(edges) * n / window[axis + 2])
    return np.outer(*along).clip(0, 1).astype(np.float32)


def content_of(pictures: list[NDArray[np.uint8]]) -> Box:
    """Where the endoscope's picture is in some frames ``[H, W, 3]`` of one recording, which may be of several sizes.

    The largest area that is lit in at least half of the frames, without what is thin, such as writing beside it: the
    circle or rectangle of the endoscope. All of the frame where nothing is lit, or so little that it is no picture.
    """
    # slow to import, and not used by the processes that decode
    from scipy.ndimage import binary_opening, find_objects, label  # noqa: PLC0415

    shapes = {p.shape[:2] for p in pictures}
    height, width = max(shapes)
    shrunk = _SIDE / max(height, width, _SIDE)
    small = (max(round(width * shrunk), 1), max(round(height * shrunk), 1))
    brightest = [np.asarray(Image.fromarray(p).resize(small, Image.Resampling.BOX)).max(axis=2) for p in pictures]
    lit = np.median(brightest, axis=0) > _LIT  # [h, w]
    areas, found = label(binary_opening(np.pad(lit, _THIN, mode="edge"), np.ones((_THIN, _THIN))))
    areas = areas[_THIN:-_THIN, _THIN:-_THIN]
    if not found:
        return ALL
    largest = areas == np.bincount(areas[areas > 0].ravel(), minlength=1).argmax()
    rows, columns = find_objects(largest.astype(np.uint8))[0]
    h, w = lit.shape
    box = Box(rows.start / h, columns.start / w, rows.stop / h, columns.stop / w)
    large = (box.bottom - box.top) * (box.right - box.left) >= _LEAST
    return box if large else ALL


def _resized(
    pixels: NDArray[np.uint8], size: Size, window: Window, how: Image.Resampling, beyond: int
) -> NDArray[np.uint8]:
    if window == WHOLE:
        if pixels.shape[:2] == size:
            return pixels
        return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))
    spans = [window.span(side, axis) for axis, side in enumerate(pixels.shape[:2])]
    margins = [
        (max(0, math.ceil(-start)), max(0, math.ceil(start + length - side)))
        for (start, length), side in zip(spans, pixels.shape[:2], strict=True)
    ]
    padded = np.pad(pixels, [*margins, *[(0, 0)] * (pixels.ndim - 2)], constant_values=beyond)
    ends = []
    for (start, length), (before, _), side in zip(spans, margins, padded.shape[:2], strict=False):
        ends.append((start + before, min(start + before + length, side)))  # rounding may pass the side
    (top, bottom), (left, right) = ends
    box = (left, top, right, bottom)
    return np.asarray(Image.fromarray(padded).resize((size[1], size[0]), how, box=box))
