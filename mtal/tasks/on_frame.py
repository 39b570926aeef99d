"""What a pixel head says of every pixel of a frame, whatever its size and whatever part of it the model was shown.

A map is interpolated from row to row of the frame, and along a row it is linear from cell to cell: where the two ends
of such a stretch agree so does all of it, and else the places are worked out where the answer changes. So what is said
costs some thousands of operations and not one for each pixel and class. Between most cells two classes contend, and no
third one can be above them: then only how far one leads the other is interpolated. Where that is not so, or rounding
could tell another pixel, all classes are looked at.

Letters: N frames, C classes, h x w cells of the decoder's map, H x W pixels of the frame, P stretches whose ends do not
agree, G groups of places that lie between the same K cells. Maps lie column by column, N frames one below the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtal.datasets.runs import Runs
from mtal.frames.window import WHOLE, Window
from mtal.tasks.task import Task

Size = tuple[int, int]
"""(H, W)."""
Cells = NDArray[np.float32]
"""``[C, w N h]``."""
Classes = NDArray[np.uint8]
Places = NDArray[np.signedinteger[Any]]

_ROUNDING = 1e-5  # of the largest logit; what is interpolated in float32 is off by a tenth of that at most


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
    N, _, h, w = logits.shape
    rows, along = _placed((h, w), size, window)
    rows = rows.of_maps(N, h)
    cells = _cells(logits)
    said = _down(cells, rows, h)  # [w, N H]
    at = np.flatnonzero(said[1:] != said[:-1])  # [P]
    cell, row = _divided(at, N * size[0])
    ours, theirs = said.take(at), said.take(at + N * size[0])
    stretch, begins, then = _changes(cells, rows, along, row, cell, ours, theirs)
    return _runs(said, row.take(stretch), cell.take(stretch), begins, then, (N, *size))


def above_zero_runs(logits: Tensor, size: Size, window: Window = WHOLE) -> Runs:
    """:func:`above_zero_at` of ``logits [N, C, h, w]`` as runs of equal pixels of ``[N, C, H, W]``."""
    N, C, h, w = logits.shape
    maps = logits.reshape(N * C, 1, h, w)
    return likeliest_runs(torch.cat([torch.zeros_like(maps), maps], dim=1), size, window)._replace(shape=(N, C, *size))


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

    first: Places  # [n]
    second: Places  # [n]
    share: NDArray[np.float32]  # [n] in [0, 1], how near it is to the second
    begins: Places  # [cells + 1], the first pixel behind the middle of each cell; n at the end
    start: float  # of the map, in pixels
    step: float  # pixels from cell to cell

    def of_maps(self, maps: int, cells: int) -> _Between:
        """The same for maps of so many cells that lie one below the other."""
        below, n = np.arange(maps)[:, None], len(self.first)
        first, second = ((cells * below + x).ravel() for x in (self.first, self.second))
        begins = np.append((n * below + self.begins[:-1]).ravel(), maps * n)
        return self._replace(first=first, second=second, share=np.tile(self.share, maps), begins=begins)

    def pixels(self, cell: Places, beyond: NDArray[np.float32]) -> NDArray[np.float64]:
        """Where places are that lie a share of a step ``beyond [P]`` cells, 0 being the middle of the first pixel."""
        return np.asarray((cell + beyond.astype(np.float64) + 0.5) * self.step + self.start - 0.5, dtype=np.float64)

    def spots(self, row: Places, column: Places) -> _Spots:
        """Of M pixels along this side in columns of cells."""
        start = column * (len(self.begins) - 1)
        return _Spots(start + self.first.take(row), start + self.second.take(row), self.share.take(row))


class _Spots(NamedTuple):
    """M places, each between a cell and the one below it."""

    above: Places  # [M]
    below: Places  # [M]
    share: NDArray[np.float32]  # [M] in [0, 1], how near it is to the cell below

    def take(self, some: Places) -> _Spots:
        """Some of them."""
        return _Spots(self.above.take(some), self.below.take(some), self.share.take(some))

    def beside(self, rows: int) -> _Spots:
        """The same in the next column, of so many cells."""
        return self._replace(above=self.above + rows, below=self.below + rows)

    def values(self, cells: Cells) -> NDArray[np.float32]:
        """All C maps at these places, ``[C, M]``."""
        return _mixed([cells.take(at, axis=1) for at in (self.above, self.below)], self.share)


class _Contest(NamedTuple):
    """Of two classes that are the highest at K cells around G groups of places."""

    lead: NDArray[np.float32]  # [K, G], of ours above theirs
    room: NDArray[np.float32]  # [K, G], from the highest of all other classes to the mean of the two
    rounding: NDArray[np.float32]  # [G], by which a sum of these may be off

    @classmethod
    def of(cls, cells: Cells, at: Sequence[Places], ours: Classes, theirs: Classes) -> _Contest:
        """The classes ``[G]`` at K times ``[G]`` cells."""
        logits = cells.take(at, axis=1)  # [C, K, G]
        lowest, highest = logits.min(axis=0), logits.max(axis=0)
        each = np.arange(lowest.size).reshape(lowest.shape)
        two = [of.astype(np.int64) * lowest.size + each for of in (ours, theirs)]
        x, y = (logits.take(one) for one in two)
        for one in two:
            logits.put(one, lowest)
        rounding = _ROUNDING * np.maximum(highest, -lowest).max(axis=0)
        return cls(x - y, (x + y) / 2 - logits.max(axis=0), rounding)

    def take(self, group: Places) -> _Contest:
        """Of places, by the groups that they are of."""
        return _Contest(*(x.take(group, axis=-1) for x in self))


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
    cells: Cells = logits.detach().float().permute(1, 3, 0, 2).flatten(1).contiguous().cpu().numpy()
    return cells


def _divided(places: Places, length: int) -> tuple[Places, Places]:
    whole = places // length  # np.divmod takes twice as long
    return whole, places - whole * length


def _mixed(
    ends: Sequence[NDArray[np.float32]] | NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``[..., M]``: the first of two ends where ``share [M]`` is 0, the second where it is 1."""
    found = ends[1] - ends[0]
    found *= share
    found += ends[0]
    return np.asarray(found)


def _down(cells: Cells, rows: _Between, h: int) -> Classes:
    """What is said at each row of the frame and each column of the map, ``[w, N H]``.

    Between two cells of a column that agree it is what they say.
    """
    height = len(rows.begins) - 1
    of_cells = _likeliest(cells)[0].reshape(-1, height)  # [w, N h]
    many = np.diff(rows.begins)  # rows of the frame below each cell
    said = of_cells.repeat(many, axis=1)
    column, row = _divided(np.flatnonzero(of_cells[:, :-1] != of_cells[:, 1:]), height - 1)
    inside = row % h < h - 1  # and not the last cell of a frame and the first of the next
    column, row = column.compress(inside), row.compress(inside)  # [G]
    above = column * height + row
    ours, theirs = of_cells.take(above), of_cells.take(above + 1)
    contest = _Contest.of(cells, (above, above + 1), ours, theirs)
    place = _crossing(*contest.lead)
    at_cells = (contest.room + np.abs(contest.lead) / 2).min(axis=0)  # from the highest of the others to the higher
    alone = np.minimum(at_cells, _mixed(contest.room, place)) > contest.rounding
    steep = (contest.lead[0] - contest.lead[1]) * alone
    times = many.take(row)
    column, at = column.repeat(times), np.arange(times.sum())  # [M]
    at += (rows.begins.take(row) - (times.cumsum() - times)).repeat(times)
    beyond = rows.share.take(at) - place.repeat(times)
    then = ours.repeat(times)
    np.copyto(then, theirs.repeat(times), where=beyond > 0)
    sure = np.abs(beyond) * steep.repeat(times) > contest.rounding.repeat(times)
    rest = np.flatnonzero(~sure)
    then[rest] = _likeliest(rows.spots(at.take(rest), column.take(rest)).values(cells))[0]
    said.put(column * said.shape[1] + at, then)
    return said


def _changes(
    cells: Cells, rows: _Between, along: _Between, row: Places, cell: Places, ours: Classes, theirs: Classes
) -> tuple[Places, Places, Classes]:
    """Where the answer changes in each of P stretches from a cell to the one on its right.

    Args:
        cells: the maps.
        rows: where the rows of the frames are.
        along: where its columns are.
        row: ``[P]`` of the frames, column by column.
        cell: ``[P]``, column of the left end.
        ours: ``[P]``, what is said at the left end.
        theirs: ``[P]``, what is said at the right end.

    Returns:
        Of N changes, in order within each stretch: the stretch, the first pixel of what is said then, and what it is.
    """
    height = len(rows.begins) - 1
    spots = rows.spots(row, cell)
    kind = (spots.above * 256 + ours) * 256 + theirs
    first = np.flatnonzero(np.append(True, kind[1:] != kind[:-1])[: len(kind)])  # [G]
    group = np.arange(len(first)).repeat(np.diff(first, append=len(kind)))  # [P]
    corners = spots.take(first)
    at = [x + side for side in (0, height) for x in (corners.above, corners.below)]
    contest = _Contest.of(cells, at, ours.take(first), theirs.take(first)).take(group)
    lead, room = ([_mixed(x[k : k + 2], spots.share) for k in (0, 2)] for x in (contest.lead, contest.room))
    place = _crossing(*lead)
    column = along.pixels(cell, place)
    off = np.abs(column - np.rint(column)) * (lead[0] - lead[1])  # from where another pixel would be the first
    alone = (_mixed(room, place) > contest.rounding) & (off > contest.rounding * along.step)
    few, many = np.flatnonzero(alone), np.flatnonzero(~alone)
    left, right = (x.take(many).values(cells) for x in (spots, spots.beside(height)))  # [C, P']
    a, b = (x.take(many).astype(np.int64) for x in (ours, theirs))
    stretch, place, was, then = _envelope(left, right, a, b)
    exact = along.pixels(cell.take(many).take(stretch), place)
    later = np.ceil(exact) + ((was < then) & (exact == np.ceil(exact)))  # the lower number has what is equal
    stretch = np.concatenate([few, many.take(stretch)])
    begins = np.concatenate([np.ceil(column.take(few)), later]).astype(np.int64)
    low, high = (along.begins.take(x.take(stretch)) for x in (cell, cell + 1))
    return stretch, begins.clip(low, high), np.concatenate([theirs.take(few), then.astype(np.uint8)])


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
        there = _mixed((left, right), place)  # [C, n]
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
    order = np.argsort(stretch + place.astype(np.float64) / 2, kind="stable")  # np.lexsort takes six times as long
    return stretch.take(order), place.take(order), ours.take(order), theirs.take(order)


def _crossing(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where what is ``left`` at 0 and ``right`` at 1 is 0, of another sign at either end: ``[P]`` in [0, 1]."""
    whole = left - right
    return np.divide(left, whole, out=np.zeros_like(left), where=whole != 0).clip(0, 1)


def _runs(said: Classes, row: Places, cell: Places, begins: Places, then: Classes, shape: tuple[int, ...]) -> Runs:
    """A run for each row of ``said [w, H]``, and one for each of P places where the answer changes to ``then``."""
    w, H = said.shape
    of_rows = np.arange(H)
    starts = np.concatenate([of_rows * shape[-1], row * shape[-1] + begins])
    place = np.concatenate([of_rows * w, row * w + cell + 1])
    order = np.argsort(place, kind="stable")
    return Runs(starts.take(order), np.concatenate([said[0], then]).take(order), shape)
