"""What a pixel head says of every pixel of a frame, whatever its size and whatever part of it the model was shown.

Letters: C classes, h x w cells of the decoder's map, H x W pixels of the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtal.frames.window import WHOLE, Window
from mtal.tasks.posterior import likeliest_class

Size = tuple[int, int]
"""(H, W)."""
_SEVERAL = 255  # stands for a square of four cells that do not agree; no class has this number


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
    cells = logits.detach().permute(1, 2, 0).contiguous().float().cpu()  # [h, w, C]
    likeliest = likeliest_class(cells).to(torch.uint8).numpy()  # [h, w]
    below, right = np.minimum(np.arange(h) + 1, h - 1), np.minimum(np.arange(w) + 1, w - 1)
    agree = likeliest == likeliest[below]
    agree &= agree[:, right] & (likeliest == likeliest[:, right])
    squares = np.where(agree, likeliest, _SEVERAL)  # [h, w]: of a cell, the one below, the one beside and theirs
    said: NDArray[np.uint8] = squares[rows.first].take(columns.first, axis=1)  # [H, W]
    row, column = np.divmod(np.flatnonzero(said == _SEVERAL), size[1])  # [M]
    if len(row):
        said[row, column] = _interpolated(cells, rows, row, columns, column)
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


def _interpolated(
    cells: Tensor,
    rows: _Between,
    row: NDArray[np.int64],
    columns: _Between,
    column: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Likeliest class of M pixels at (row, column), ``[M]``, by ``cells [h, w, C]``."""
    w = cells.shape[1]
    share = torch.from_numpy(rows.share).view(-1, 1, 1)
    upper, lower = (cells[torch.from_numpy(at)] for at in (rows.first, rows.second))
    lines = torch.lerp(upper, lower, share.to(cells)).flatten(0, 1)  # [H w, C]
    left, right = (lines[torch.from_numpy(row * w + at[column])] for at in (columns.first, columns.second))  # [M, C]
    share = torch.from_numpy(columns.share[column]).unsqueeze(1)
    found: NDArray[np.uint8] = torch.lerp(left, right, share.to(cells)).argmax(dim=1).to(torch.uint8).numpy()
    return found
