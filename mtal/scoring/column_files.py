"""A file for each column of the pool, in which the rows of segments are written to their places."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mtal.scoring.segments import Segment
from mtal.whole_files import IN_A_RUN, write_error

_ABOUT = "about.json"
_NOTES = "notes.jsonl"


@dataclass(frozen=True)
class Columns:
    """Arrays whose rows are frames.

    Attributes:
        arrays: by name, ``[n, ...]``.
        about: what else is known of them, ready for JSON, the same for all frames of a pass.
    """

    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]


class ColumnFiles:
    """Columns of all candidates, of which the rows of some segments are there.

    When those of a segment are, a line of ``notes.jsonl`` says so, with a checksum of what it has in each column: a
    machine that loses its power may keep the note and not the rows, which is found out by whoever goes on. So nothing
    waits for the disk. One process writes at a time.

    Args:
        folder: made with the first rows.
        frames: how many candidates there are.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder, self.frames = folder, frames

    def __reduce__(self) -> tuple[type[ColumnFiles], tuple[Path, int]]:
        return ColumnFiles, (self.folder, self.frames)

    def has(self, segment: Segment) -> bool:
        """Whether all rows of a segment are there, which may have come in parts."""
        at = segment.start
        while at < segment.stop and at in self._ends:
            at = self._ends[at]
        return at == segment.stop

    def put(self, segment: Segment, columns: Columns) -> None:
        """Write the rows of a segment, in order and not through a memory map: on a full disk that is an error.

        Raises:
            OSError: they cannot be written.
        """
        ends = self._ends
        try:
            if not ends:
                self._make(columns)
            sums = {name: self._put(name, segment.start, rows) for name, rows in columns.arrays.items()}
            with (self.folder / _NOTES).open("a", encoding="ascii") as notes:
                notes.write(f"\n{json.dumps([segment.start, segment.stop, sums])}")  # the line before may be torn
        except OSError as error:
            raise write_error(self.folder, error, IN_A_RUN) from error
        ends[segment.start] = segment.stop

    def read(self) -> Columns:
        """All columns, memory-mapped: what is changed in them stays in memory."""
        maps = {name: np.load(self.folder / file, mmap_mode="c") for name, file in self._files.items()}
        return Columns(maps, self._about["about"])

    @cached_property
    def _ends(self) -> dict[int, int]:
        """The last rows of segments, plus one, by their first: of all whose rows are what their notes say."""
        try:
            notes = (self.folder / _NOTES).read_text(encoding="ascii", errors="replace").splitlines()
            columns = self.read().arrays
        except (OSError, EOFError, ValueError, KeyError):  # none is there, or not all reached the disk
            return {}
        ends = {}
        for note in notes:
            try:
                start, stop, sums = json.loads(note)
            except ValueError:
                continue
            if sums == {name: _sum(rows[start:stop]) for name, rows in columns.items()}:
                ends[start] = stop
        return ends

    @property
    def _about(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / _ABOUT).read_text(encoding="utf-8")))

    @cached_property
    def _files(self) -> dict[str, str]:
        return dict(self._about["files"])

    def _make(self, columns: Columns) -> None:
        """Files with room for all rows, which takes none of the disk yet."""
        self.__dict__.pop("_files", None)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        files = {name: f"{i:03d}.npy" for i, name in enumerate(sorted(columns.arrays))}
        for name, file in files.items():
            rows = columns.arrays[name]
            with (self.folder / file).open("wb") as column:
                _write_header(column, rows, self.frames)
                column.truncate(column.tell() + self.frames * rows[:1].nbytes)
        (self.folder / _ABOUT).write_text(json.dumps({"files": files, "about": columns.about}), encoding="utf-8")

    def _put(self, name: str, start: int, rows: NDArray[Any]) -> int:
        """Write rows of a column to their places; their checksum."""
        content = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        with (self.folder / self._files[name]).open("r+b") as column:
            column.seek(-(self.frames - start) * rows[:1].nbytes, 2)
            column.write(content)
        return crc32(content)


def _sum(rows: NDArray[Any]) -> int:
    return crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)


def _write_header(file: IO[bytes], rows: NDArray[Any], length: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**header, "shape": (length, *rows.shape[1:])})
