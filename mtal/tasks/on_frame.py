"""What a pixel head says of every pixel of a frame, whatever its size and whatever part of it the model was shown.

A map is interpolated from row to row of the frame, and along a row it is linear from cell to cell: where the two ends
of such a stretch agree so does all of it, and else the one place is worked out where the answer changes. So what is
said costs some thousands of operations and not one for each pixel and class.

Letters: C classes, h x w cells of the decoder's map, H x W pixels of the frame, P stretches whose ends do not agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtal.frames.window import WHOLE, Window
from mtal.tasks.runs import Runs
from mtal.tasks.task import Task

Size = tuple[int, int]
"""(H, W)."""
_NEAR = 1e-4  # of a logit: a third class so near to the two where they cross is looked at pixel by pixel


def said_at(task: Task, logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """What a pixel head says by ``logits [C, h, w]``: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1."""
    return runs_at(task, logits, size, window).pixels()


def runs_at(task: Task, logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """The same as runs of equal pixels."""
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
    return likeliest_runs(logits, size, window).pixels()


def above_zero_at(logits: Tensor, size: Size, window: Window = WHOLE) -> NDArray[np.uint8]:
    """Where ``logits [C, h, w]``, interpolated as by :func:`likeliest_at`, are above 0: ``[C, H, W]`` of 0 and 1.

    >>> above_zero_at(torch.tensor([[[0.5, -4.0]]]), (1, 4)).tolist()
    [[[1, 0, 0, 0]]]
    """
    return above_zero_runs(logits, size, window).pixels()


def likeliest_runs(logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """:func:`likeliest_at` as runs of equal pixels."""
    maps, along = _down(logits, size, window)  # [C, H, w]
    C, H, w = maps.shape
    said, best = np.zeros((H, w), dtype=np.uint8), maps[0].copy()
    for c in range(1, C):
        np.copyto(said, np.uint8(c), where=maps[c] > best)
        np.maximum(best, maps[c], out=best)
    row, cell = np.nonzero(said[:, 1:] != said[:, :-1])  # [P]
    at = row * w + cell
    flat = maps.reshape(C, H * w)
    left = flat.take(at, axis=1)  # [C, P]
    rise = flat.take(at + 1, axis=1) - left
    ours, theirs = (said.ravel().take(place).astype(np.int64) for place in (at, at + 1))  # [P]
    pair = np.arange(len(at))
    ahead = left[ours, pair] - left[theirs, pair]  # [P], of the left end's class at the left end
    crossing = ahead / (ahead - (ahead + rise[ours, pair] - rise[theirs, pair]))
    at_crossing = left + rise * crossing  # [C, P]
    contend = at_crossing >= at_crossing[ours, pair] - _NEAR * (1 + np.abs(at_crossing[ours, pair]))
    several = np.flatnonzero(contend.sum(axis=0) > 2)
    begins = _first_pixel(along, cell, crossing, ours < theirs)  # [P]
    begins[several] = along.begins[cell[several] + 1]
    starts, values = _changes(said, row, cell, begins, along)
    if len(several):
        counts = np.diff(along.begins)[cell[several]]
        of = several.repeat(counts)  # [M] pixels of these stretches
        column = along.begins[cell[several]].repeat(counts) + _counted(counts)
        answer = (left[:, of] + rise[:, of] * along.share[column]).argmax(axis=0).astype(np.uint8)
        starts = np.concatenate([starts, row[of] * size[1] + column])
        order = np.argsort(starts, kind="stable")
        starts, values = starts[order], np.concatenate([values, answer])[order]
    return Runs(starts, values, size)


def above_zero_runs(logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """:func:`above_zero_at` as runs of equal pixels."""
    maps, along = _down(logits, size, window)  # [C, H, w]
    maps = maps.reshape(-1, maps.shape[2])  # [C H, w]
    said = (maps > 0).astype(np.uint8)
    row, cell = np.nonzero(said[:, 1:] != said[:, :-1])  # [P]
    left, right = maps[row, cell], maps[row, cell + 1]
    begins = _first_pixel(along, cell, left / (left - right), left <= 0)
    starts, values = _changes(said, row, cell, begins, along)
    return Runs(starts, values, (logits.shape[0], *size))


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
    begins: NDArray[np.int64]  # [cells + 1], the first pixel behind the middle of each cell; n at the end
    start: float  # of the map, in pixels
    step: float  # pixels from cell to cell


def _between(cells: int, side: int, span: tuple[float, float]) -> _Between:
    start, length = span
    place = ((np.arange(side) + 0.5 - start) * (cells / length) - 0.5).clip(0, cells - 1)  # [n], in cells
    first = place.astype(np.int64)
    begins = np.append(np.searchsorted(first, np.arange(cells)), side)
    share = (place - first).astype(np.float32)
    return _Between(first, np.minimum(first + 1, cells - 1), share, begins, start, length / cells)


def _down(logits: Tensor, size: Size, window: Window) -> tuple[NDArray[np.float32], _Between]:
    """Rows of the map at the rows of the frame, ``[C, H, w]``, and where its columns are."""
    rows, columns = (_between(n, size[a], window.span(size[a], a)) for a, n in enumerate(logits.shape[1:]))
    cells = logits.detach().float().contiguous().cpu().numpy()  # [C, h, w]
    maps = cells.take(rows.first, axis=1)  # [C, H, w]
    maps += (cells.take(rows.second, axis=1) - maps) * rows.share[:, None]
    return maps, columns


def _first_pixel(
    along: _Between, cell: NDArray[np.int64], crossing: NDArray[np.float32], stays: NDArray[np.bool_]
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


def _changes(
    said: NDArray[np.uint8],
    row: NDArray[np.int64],
    cell: NDArray[np.int64],
    begins: NDArray[np.int64],
    along: _Between,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Starts and values of runs: one for each row, and one for each stretch in which the answer changes."""
    of_rows = np.arange(len(said)) * len(along.first)
    starts = np.concatenate([of_rows, of_rows[row] + begins])
    place = np.concatenate([np.arange(len(said)) * said.shape[1], row * said.shape[1] + cell + 1])
    order = np.argsort(place, kind="stable")
    return starts[order], said.ravel()[place[order]]


def _counted(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … for each count, one after the other."""
    return np.arange(counts.sum()) - (np.cumsum(counts) - counts).repeat(counts)
