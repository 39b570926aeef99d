"""What a pixel head says of every pixel of a frame, whatever its size and whatever part of it the model was shown.

A map is interpolated from row to row of the frame, and along a row it is linear from cell to cell: where the two ends
of such a stretch agree so does all of it, and else the places are worked out where the answer changes. So what is said
costs some thousands of operations and not one for each pixel and class.

Letters: N frames, C classes, h x w cells of the decoder's map, H x W pixels of the frame, P stretches whose ends do not
agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.runs import Runs
from mtal.frames.window import WHOLE, Window
from mtal.tasks.task import Task

Size = tuple[int, int]
"""(H, W)."""
Cells = NDArray[np.float32]
"""``[C, rows, w]``."""
Places = NDArray[np.signedinteger[Any]]


def said_at(task: Task, logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """What a pixel head says by ``logits [C, h, w]``: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1."""
    at = likeliest_at if task.family == "categorical" else above_zero_at
    return at(logits, size, window)


def runs_at(task: Task, logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """The same of ``logits [N, C, h, w]`` as runs of equal pixels: of ``[N, H, W]`` or ``[N, C, H, W]``."""
    runs = likeliest_runs if task.family == "categorical" else above_zero_runs
    return runs(logits, size, window)


def likeliest_at(logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """argmax_c of ``logits [C, h, w]`` interpolated to a frame of ``size``, ``[H, W]``; the lowest number among equals.

    Bilinear, the middles of cells and pixels being where they are in the picture; beyond the outermost middles, and
    outside of the window, the outermost cells go on.

    Args:
        logits: of one frame.
        size: of the frame.
        window: the part of it that the map covers.

    >>> likeliest_at(torch.tensor([[[0.5, -4.0]], [[0.0, 0.0]]]), (1, 4)).tolist()
    [[0, 1, 1, 1]]
    """
    return likeliest_runs(logits[None], size, window).pixels()[0]


def above_zero_at(logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """Where ``logits [C, h, w]``, interpolated as by :func:`likeliest_at`, are above 0: ``[C, H, W]`` of 0 and 1.

    >>> above_zero_at(torch.tensor([[[0.5, -4.0]]]), (1, 4)).tolist()
    [[[1, 0, 0, 0]]]
    """
    return above_zero_runs(logits[None], size, window).pixels()[0]


def likeliest_runs(logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """:func:`likeliest_at` of ``logits [N, C, h, w]`` as runs of equal pixels of ``[N, H, W]``."""
    N, C, h, w = logits.shape
    rows, along = _placed((h, w), size, window)
    rows = rows.of_maps(N, h)
    cells = _cells(logits.transpose(0, 1)).reshape(C, N * h, w)  # one frame below the other
    of_cells = _likeliest(cells.reshape(C, -1))[0].reshape(N * h, w)
    said, at = _down(of_cells, rows)  # [N H, w]
    said[at] = _likeliest(_values(cells, rows, *at))[0]
    row, cell = _changes_along(said)  # [P]
    left, right = (_values(cells, rows, row, at) for at in (cell, cell + 1))  # [C, P]
    ours, theirs = (said.ravel().take(row * w + at).astype(np.int64) for at in (cell, cell + 1))
    stretch, place, ours, theirs = _envelope(left, right, ours, theirs)
    row, cell = row.take(stretch), cell.take(stretch)
    begins = _first_pixel(along, cell, place, ours < theirs)
    return _runs(said, row, cell, begins, theirs.astype(np.uint8), (N, *size))


def above_zero_runs(logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """:func:`above_zero_at` of ``logits [N, C, h, w]`` as runs of equal pixels of ``[N, C, H, W]``."""
    N, C, h, w = logits.shape
    rows, along = _placed((h, w), size, window)
    rows = rows.of_maps(N * C, h)
    cells = _cells(logits).reshape(1, N * C * h, w)  # one map below the other
    said, at = _down((cells[0] > 0).astype(np.uint8), rows)  # [N C H, w]
    said[at] = _values(cells, rows, *at)[0] > 0
    row, cell = _changes_along(said)  # [P]
    left, right = (_values(cells, rows, row, at)[0] for at in (cell, cell + 1))
    was = said[row, cell]
    begins = _first_pixel(along, cell, _crossing(left, right), was == 0)
    return _runs(said, row, cell, begins, 1 - was, (N, C, *size))


def inside(size: Size, window: Window = WHOLE) -> NDArray[np.bool_]:
    """Which pixels of a frame of ``size`` have their middles in the window, ``[H, W]``."""
    along = []
    for axis, side in enumerate(size):
        start, length = window.span(side, axis)
        middles = np.arange(side) + 0.5
        along.append((middles >= start) & (middles <= start + length))
    return along[0][:, None] & along[1]


class _Between(NamedTuple):
    """The two cells that each of n pixels lies between along one side."""

    first: NDArray[np.int64]  # [n]
    second: NDArray[np.int64]  # [n]
    share: NDArray[np.float32]  # [n] in [0, 1], how near it is to the second
    begins: NDArray[np.int64]  # [cells + 1], the first pixel behind the middle of each cell; n at the end
    start: float  # of the map, in pixels
    step: float  # pixels from cell to cell

    def of_maps(self, maps: int, cells: int) -> _Between:
        """The same for maps of so many cells that lie one below the other."""
        below = cells * np.arange(maps)[:, None]
        first, second = ((below + x).ravel() for x in (self.first, self.second))
        return self._replace(first=first, second=second, share=np.tile(self.share, maps))


def _between(cells: int, side: int, span: tuple[float, float]) -> _Between:
    start, length = span
    place = ((np.arange(side) + 0.5 - start) * (cells / length) - 0.5).clip(0, cells - 1)  # [n], in cells
    first = place.astype(np.int64)
    begins = np.append(np.searchsorted(first, np.arange(cells)), side)
    share = (place - first).astype(np.float32)
    return _Between(first, np.minimum(first + 1, cells - 1), share, begins, start, length / cells)


def _placed(cells: Size, size: Size, window: Window) -> tuple[_Between, _Between]:
    """Where the rows and columns of the frame are on the map."""
    rows, columns = (_between(n, size[a], window.span(size[a], a)) for a, n in enumerate(cells))
    return rows, columns


def _cells(logits: Tensor) -> Cells:
    cells: Cells = logits.detach().float().contiguous().cpu().numpy()
    return cells


def _down(of_cells: NDArray[np.uint8], rows: _Between) -> tuple[NDArray[np.uint8], tuple[Places, Places]]:
    """What is said at each row of the frame and each column of the map, ``[H, w]``.

    It is what is said at the cells above and below where these agree; rows and columns where they do not come second.
    """
    said, below = of_cells.take(rows.first, axis=0), of_cells.take(rows.second, axis=0)
    row, column = np.divmod(np.flatnonzero(said != below), said.shape[1])
    return said, (row, column)


def _changes_along(said: NDArray[np.uint8]) -> tuple[Places, Places]:
    """Rows and left columns of neighbours in a row of ``[H, w]`` that differ, in order."""
    flat, w = said.ravel(), said.shape[1]
    row, cell = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), w)
    beside = cell < w - 1  # and not the first of the next row
    return row[beside], cell[beside]


def _values(cells: Cells, rows: _Between, row: Places, column: Places) -> NDArray[np.float32]:
    """The map at M rows of the frame and columns of the map, ``[C, M]``."""
    C, h, w = cells.shape
    flat = cells.reshape(C, h * w)
    found = flat.take(rows.first.take(row) * w + column, axis=1)
    found += (flat.take(rows.second.take(row) * w + column, axis=1) - found) * rows.share.take(row)
    return found


def _likeliest(logits: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Argmax of each column of ``[C, M]``, the lowest number among equals, and max: ``[M]``."""
    said, best = np.zeros(logits.shape[1], dtype=np.uint8), logits[0].copy()
    for c in range(1, len(logits)):
        np.copyto(said, np.uint8(c), where=logits[c] > best)
        np.maximum(best, logits[c], out=best)
    return said, best


def _envelope(
    left: NDArray[np.float32], right: NDArray[np.float32], ours: Places, theirs: Places
) -> tuple[Places, NDArray[np.float32], Places, Places]:
    """Where the highest of C lines becomes another one, from the left end of each of P stretches to the right one.

    Where the lines that are highest at the ends cross, a third may be higher: then the same is asked of the two parts.

    Args:
        left: ``[C, P]`` at the left ends.
        right: ``[C, P]`` at the right ends.
        ours: ``[P]``, which line is the highest at the left end.
        theirs: ``[P]``, which at the right end.

    Returns:
        Of N places in the order of the stretches and from left to right: the stretch, the place in [0, 1], and the
        lines that are highest before and behind it, ``[N]`` each.
    """
    found, stretch = [], np.arange(len(ours))
    for _ in range(len(left)):  # of C lines no more than C are highest somewhere
        n = len(stretch)
        at_ours, at_theirs = (line * n + np.arange(n) for line in (ours, theirs))
        place = _crossing(*(ends.ravel().take(at_ours) - ends.ravel().take(at_theirs) for ends in (left, right)))
        there = right - left  # [C, n]
        there *= place
        there += left
        third, most = _likeliest(there)
        higher = (most > there.ravel().take(at_ours)) & (third != theirs)
        stays, parts = np.flatnonzero(~higher), np.flatnonzero(higher)
        found.append((stretch.take(stays), place.take(stays), ours.take(stays), theirs.take(stays)))
        if not len(parts):
            break
        parts, middle = np.tile(parts, 2), third.take(parts).astype(np.int64)
        half = len(middle)
        stretch, left, right = stretch.take(parts), left.take(parts, axis=1), right.take(parts, axis=1)
        ours = np.concatenate([ours.take(parts[:half]), middle])
        theirs = np.concatenate([middle, theirs.take(parts[:half])])
    stretch, place, ours, theirs = (np.concatenate(x) for x in zip(*found, strict=True))
    if len(found) == 1:
        return stretch, place, ours, theirs
    order = np.lexsort((place, stretch))
    return stretch.take(order), place.take(order), ours.take(order), theirs.take(order)


def _crossing(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where what is ``left`` at 0 and ``right`` at 1 is 0, of another sign at either end: ``[P]`` in [0, 1]."""
    whole = left - right
    return np.divide(left, whole, out=np.zeros_like(left), where=whole != 0).clip(0, 1)


def _first_pixel(
    along: _Between, cell: Places, crossing: NDArray[np.float32], stays: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Column of the first pixel that is of the right end of each of P stretches.

    Args:
        along: where columns are.
        cell: ``[P]`` of the left end.
        crossing: ``[P]`` in [0, 1], the place where the answer changes.
        stays: ``[P]`` whether a pixel that lies there exactly is still of the left end.
    """
    column = (cell + crossing.astype(np.float64) + 0.5) * along.step + along.start - 0.5
    first = np.where(stays, np.floor(column) + 1, np.ceil(column)).astype(np.int64)
    return first.clip(along.begins[cell], along.begins[cell + 1])


def _runs(
    said: NDArray[np.uint8], row: Places, cell: Places, begins: Places, then: NDArray[np.uint8], shape: tuple[int, ...]
) -> Runs:
    """A run for each row of ``said [H, w]``, and one for each of P places where the answer changes to ``then``."""
    of_rows = np.arange(len(said))
    starts = np.concatenate([of_rows * shape[-1], row * shape[-1] + begins])
    place = np.concatenate([of_rows * said.shape[1], row * said.shape[1] + cell + 1])
    order = np.argsort(place, kind="stable")
    return Runs(starts[order], np.concatenate([said[:, 0], then])[order], shape)
