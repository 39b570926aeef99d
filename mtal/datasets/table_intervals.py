"""Tables whose rows are stretches of time, ``start_sec`` to ``end_sec``, in which something is in view."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.table_cells import Cells
from mtal.datasets.table_rows import TableRows
from mtal.frames.reader import open_reader
from mtal.frames.sampler import UniformSampler
from mtal.refusals import Refusals, first_of

START, END = "start_sec", "end_sec"
JOINT = ";"
"""Between what several intervals say of one frame."""


def are_intervals(cells: Cells) -> bool:
    """Whether the rows of a table are stretches of time."""
    return START in cells.columns and END in cells.columns


def sampled(cells: Cells, base: Path, rate_hz: float) -> Cells:
    """A table of intervals of videos as one of frames: those nearest to each 1 / ``rate_hz`` seconds of each video.

    A cell holds what all intervals [start, end) around the frame say, with ``;`` between, and nothing outside of all.

    Raises:
        FileNotFoundError: a video is missing.
        ValueError: an interval is none, or a video has two patients or splits.
    """
    lacking = [c for c in ("patient", "video") if c not in cells.columns]
    if lacking or "image" in cells.columns:
        raise ValueError(
            f"{cells.path}: a table with {START} and {END} has the columns 'patient' and 'video', and no 'image'"
        )
    refusals = Refusals()
    spans = _spans(cells, refusals)
    files: dict[Path, list[int]] = {}
    for row in range(len(cells)):
        with refusals:
            file = cells.file(row, "video", base)
            if file is None:
                raise ValueError(f"{cells.where(row, 'video')}: it is empty; an interval is one of a video")
            files.setdefault(file, []).append(row)
    refusals.tell()
    of_video: list[str] = [c for c in ("patient", "split") if c in cells.columns]
    told = [c for c in cells.columns if c not in (*of_video, "video", "frame", "time_s", START, END)]
    columns: dict[str, list[str]] = {c: [] for c in (*of_video, "video", "frame", *told)}
    lines: list[int] = []
    late: list[str] = []
    for file, rows in files.items():
        for column in of_video:
            with refusals:
                said = dict.fromkeys(cells.column(column)[row] for row in rows)
                if len(said) > 1:
                    raise ValueError(f"{cells.path}: {file.name} has the {column}s {', '.join(map(repr, said))}")
        with open_reader(file, on_truncated="keep") as reader:
            taken = UniformSampler(rate_hz)(reader.times_s)
            numbers, times, end_s = reader.frames[taken], reader.times_s[taken], float(reader.times_s[-1])
        late += _late(cells, rows, spans, end_s)
        around = _around([spans[row] for row in rows], times)
        for number, inside in zip(numbers.tolist(), around, strict=True):
            here = [rows[i] for i in inside]
            lines.append(cells.lines[(here or rows)[0]])
            for column in of_video:
                columns[column].append(cells.column(column)[rows[0]])
            columns["video"].append(cells.column("video")[rows[0]])
            columns["frame"].append(str(number))
            for column in told:
                columns[column].append(_joined(cells.column(column), here))
    refusals.tell()
    _warn_of_late(cells, late)
    return Cells(cells.path, columns, lines)


@dataclass(frozen=True)
class Said:
    """What a table says of a frame.

    Attributes:
        text: of its cell.
        where: file, row and column.
        asked: whether anybody looked, where there is no text.
    """

    text: str
    where: str
    asked: bool = True


def said_by_intervals(head: str, file: str, column: str, rows: TableRows) -> list[Said]:
    """What the intervals of another table say of each frame.

    Args:
        head: for messages.
        file: of the intervals, seen from the base.
        column: what they say.
        rows: the table of frames.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the tables have no column in common that tells recordings, or an interval is none.
    """
    cells = Cells.read(rows.base / file)
    keys = [c for c in ("patient", "video") if c in cells.columns and c in rows.cells.columns]
    lacking = [c for c in (START, END, column) if c not in cells.columns]
    if lacking or not keys:
        what = f"no column {lacking[0]!r}" if lacking else "neither 'patient' nor 'video' as the table of frames has"
        raise ValueError(f"{cells.path}: there is {what}, which data.heads.{head}.intervals needs")
    refusals = Refusals()
    spans = _spans(cells, refusals)
    refusals.tell()
    intervals, frames = _groups(cells, keys), _groups(rows.cells, keys)
    _warn_of_unknown(cells, intervals, rows.cells.path, frames)
    said: dict[int, Said] = {}
    late: list[str] = []
    for key, here in frames.items():
        of_recording = intervals.get(key, [])
        times = np.array([0.0 if rows.places is None else rows.places[row].time_s for row in here])  # [N]
        if rows.places is not None:
            late += _late(cells, of_recording, spans, float(times.max()))
        for row, inside in zip(here, _around([spans[i] for i in of_recording], times), strict=True):
            around = [of_recording[i] for i in inside]
            at = f"{cells.where(around[0], column)}" if around else rows.cells.where(row, keys[0])
            said[row] = Said(_joined(cells.column(column), around), at, bool(of_recording))
    _warn_of_late(cells, late)
    return [said[row] for row in range(len(rows.cells))]


def _groups(cells: Cells, keys: Sequence[str]) -> Mapping[tuple[str, ...], list[int]]:
    """Rows of each recording."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(len(cells)):
        groups.setdefault(tuple(cells.column(key)[row].replace("\\", "/") for key in keys), []).append(row)
    return groups


def _warn_of_unknown(
    cells: Cells,
    intervals: Mapping[tuple[str, ...], list[int]],
    table: Path,
    frames: Mapping[tuple[str, ...], list[int]],
) -> None:
    """Tell intervals of recordings that no frame is of, by the first of each recording."""
    unknown = {key: found for key, found in intervals.items() if key not in frames}
    if unknown:
        which = first_of([f"{cells.line(found[0])}: {_named(key)}" for key, found in unknown.items()])
        warnings.warn(
            f"{cells.path}: {sum(map(len, unknown.values()))} intervals say nothing, of recordings without a frame in "
            f"{table} ({which}); there they are called {first_of([_named(key) for key in frames])}",
            stacklevel=2,
        )


def _named(key: tuple[str, ...]) -> str:
    return " ".join(map(repr, key))


def _late(cells: Cells, rows: Sequence[int], spans: Sequence[tuple[float, float]], last_s: float) -> list[str]:
    """Those of some intervals that begin behind the last frame of their recording."""
    return [
        f"{cells.line(row)}: {spans[row][0]:g} s, the last frame is at {last_s:g} s"
        for row in rows
        if spans[row][0] > last_s
    ]


def _warn_of_late(cells: Cells, late: Sequence[str]) -> None:
    if late:
        warnings.warn(
            f"{cells.path}: {len(late)} intervals say nothing, as they begin behind the last frame of their recording "
            f"({first_of(late)}); {START} and {END} are seconds from its beginning",
            stacklevel=2,
        )


def _spans(cells: Cells, refusals: Refusals) -> list[tuple[float, float]]:
    spans = []
    for row in range(len(cells)):
        start = end = 0.0
        with refusals:
            first, last = cells.number(row, START), cells.number(row, END)
            if first is None or last is None or not first < last:
                raise ValueError(f"{cells.where(row, START)}: {first} to {last} is no interval in seconds")
            start, end = first, last
        spans.append((start, end))
    return spans


def _around(spans: Sequence[tuple[float, float]], times: NDArray[np.float64]) -> list[list[int]]:
    """For each time, the spans [start, end) that it is in."""
    inside: list[list[int]] = [[] for _ in times]
    order = np.argsort(times, kind="stable")
    for i, (start, end) in enumerate(spans):
        first, last = np.searchsorted(times[order], [start - 1e-9, end - 1e-9])
        for k in order[first:last].tolist():
            inside[k].append(i)
    return inside


def _joined(column: Sequence[str], rows: Sequence[int]) -> str:
    return JOINT.join(dict.fromkeys(column[row] for row in rows if column[row]))
