"""What a pixel head says of every pixel of a frame, whatever its size and whatever part of it the model was shown.

Letters: C classes, h x w cells of the decoder's map, H x W pixels of the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.frames.window import WHOLE, Window
from mtal.tasks.task import Task

Size = tuple[int, int]
"""(H, W)."""
_SEVERAL = 255  # stands for a square of four cells that do not agree; no class has this number


def said_at(task: Task, logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """What a pixel head says by ``logits [C, h, w]``: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1."""
    at = likeliest_at if task.family == "categorical" else above_zero_at
    return at(logits, size, window)


def likeliest_at(logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """argmax_c of ``logits [C, h, w]`` interpolated to a frame of ``size``, ``[H, W]``; the lowest number among equals.

    Bilinear, the middles of cells and pixels being where they are in the picture; beyond the outermost middles, and
    outside of the window, the outermost cells go on. Where the four cells around a pixel have the same likeliest class
    it is the pixel's as well, for every mean of their logits; only between the others is anything interpolated.

    Args:
        logits: of one frame.
        size: of the frame.
        window: the part of it that the map covers.

    >>> likeliest_at(torch.tensor([[[0.5, -4.0]], [[0.0, 0.0]]]), (1, 4)).tolist()
    [[0, 1, 1, 1]]
    """
    h, w = logits.shape[1:]
    rows, columns = (_between(n, size[a], window.span(size[a], a)) for a, n in enumerate((h, w)))
    cells = logits.detach().float().permute(1, 2, 0).contiguous().cpu().numpy()  # [h, w, C]
    below, right = np.minimum(np.arange(h) + 1, h - 1), np.minimum(np.arange(w) + 1, w - 1)
    likeliest = cells.argmax(axis=2).astype(np.uint8)  # [h, w]
    agree = likeliest == likeliest[below]
    agree &= agree[:, right] & (likeliest == likeliest[:, right])
    squares = np.where(agree, likeliest, _SEVERAL)  # [h, w]: of a cell, the one below, the one beside and theirs
    said: NDArray[np.uint8] = squares[:, columns.first][rows.first]  # [H, W]
    at = np.flatnonzero(said == _SEVERAL)  # [M]
    if len(at):
        lower = cells[below]
        corners = np.stack([cells, cells[:, right], lower, lower[:, right]], axis=2)  # [h, w, 4, C]
        row, column = np.divmod(at, size[1])
        number = np.cumsum(~agree) - 1  # [h w], of the S squares that do not agree
        square = number.take(rows.first.take(row) * w + columns.first.take(column))  # [M]
        decided = _decided(corners[~agree], square, rows.share.take(row), columns.share.take(column))
        said.ravel()[at] = decided
    return said


def above_zero_at(logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """Where ``logits [C, h, w]``, interpolated as by :func:`likeliest_at`, are above 0: ``[C, H, W]`` of 0 and 1.

    >>> above_zero_at(torch.tensor([[[0.5, -4.0]]]), (1, 4)).tolist()
    [[[1, 0, 0, 0]]]
    """
    maps = logits.detach().float().cpu().numpy()  # [C, h, w]
    for axis, side in enumerate(size):
        at = _between(maps.shape[axis + 1], side, window.span(side, axis))
        share = at.share.reshape((-1, 1) if axis == 0 else (-1,))
        maps = maps.take(at.first, axis + 1) * (1 - share) + maps.take(at.second, axis + 1) * share
    return np.asarray(maps > 0).astype(np.uint8)


def inside(size: Size, window: Window = WHOLE) -> NDArray[np.bool_]:
    """Which pixels of a frame of ``size`` have their middles in the window, ``[H, W]``."""
    along = []
    for axis, side in enumerate(size):
        start, length = window.span(side, axis)
        middles = np.arange(side) + 0.5
        along.append((middles >= start) & (middles <= start + length))
    return along[0][:, None] & along[1]


class _Between(NamedTuple):
    """The two cells that each of n pixels lies between along one side, and how near it is to the second."""

    first: NDArray[np.int64]  # [n]
    second: NDArray[np.int64]  # [n]
    share: NDArray[np.float32]  # [n], in [0, 1]


def _between(cells: int, side: int, span: tuple[float, float]) -> _Between:
    start, length = span
    place = ((np.arange(side) + 0.5 - start) * (cells / length) - 0.5).clip(0, cells - 1)  # [n], in cells
    first = place.astype(np.int64)
    return _Between(first, np.minimum(first + 1, cells - 1), (place - first).astype(np.float32))


def _decided(
    corners: NDArray[np.float32],
    square: NDArray[np.int64],
    down: NDArray[np.float32],
    along: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Likeliest class of M pixels, ``[M]``.

    A class that another one exceeds in all four cells of a square is likeliest nowhere in it: two or three are left.

    Args:
        corners: ``[S, 4, C]`` logits of the cells around each of S squares.
        square: ``[M]``, in which one each pixel lies.
        down: ``[M]``, how near it is to the lower cells.
        along: ``[M]``, how near it is to the right ones.
    """
    C = corners.shape[2]
    beaten = np.zeros((len(corners), C), dtype=bool)  # [S, C]
    for other in range(C):
        beaten |= (corners[:, :, other : other + 1] > corners).all(axis=1)
    left = np.argsort(beaten, axis=1, kind="stable")  # [S, C], those not beaten first, by number
    count = C - beaten.sum(axis=1)  # [S], 2 at least
    ranked = np.take_along_axis(corners, left[:, None], axis=2)  # [S, 4, C]
    names = left.astype(np.uint8)
    behind = _inside_square(ranked[:, :, 1] - ranked[:, :, 0], square, down, along) > 0  # [M]
    said = np.where(behind, names[:, 1].take(square), names[:, 0].take(square))
    several = np.flatnonzero(count.take(square) > 2)  # [m]
    square, down, along = square.take(several), down.take(several), along.take(several)
    values = [_inside_square(ranked[:, :, k], square, down, along) for k in range(int(count.max()))]  # [m] each
    for k in range(2, len(values)):
        values[k][k >= count.take(square)] = -np.inf
    best = np.argmax(values, axis=0)  # [m]
    said[several] = names[square, best]
    return said


def _inside_square(
    corners: NDArray[np.float32], square: NDArray[np.int64], down: NDArray[np.float32], along: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``corners [S, 4]`` interpolated to M places, ``[M]``."""
    upper_left, upper_right, lower_left, lower_right = (corners[:, k].take(square) for k in range(4))
    upper_left += (upper_right - upper_left) * along
    lower_left += (lower_right - lower_left) * along
    upper_left += (lower_left - upper_left) * down
    return upper_left
