"""What is kept of a segment: a file of columns that is there whole or not at all; and all segments as one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mtal.frames.whole_file import write_error
from mtal.scoring.segments import Segment

_ABOUT = "about"
_FILES = "files"
_ELSEWHERE = "put the run folder elsewhere"


@dataclass(frozen=True)
class Columns:
    """Arrays whose rows are frames.

    Attributes:
        arrays: by name, ``[n, ...]``.
        about: what else is known of them, ready for JSON, the same for all frames of a pass.
    """

    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Shards:
    """The shards of one pass over the pool, in a folder.

    A shard's name says its rows and the key of all that it depends on, so what a pass that was killed has left is found
    by the next, and what was left of another pass is not.

    Args:
        folder: where they lie, which is there.
        key: of the pass.
    """

    folder: Path
    key: str

    def file(self, segment: Segment) -> Path:
        """Where the shard of a segment is when it is whole."""
        return self.folder / f"{segment.start:09d}-{segment.stop:09d}-{self.key}.safetensors"

    def write(self, segment: Segment, columns: Columns) -> None:
        """Write the shard of a segment.

        Raises:
            OSError: it cannot be written; nor is the folder made anew, for a pass that has ended wants no more shards.
        """
        file = self.file(segment)
        arrays = {name: np.ascontiguousarray(rows) for name, rows in columns.arrays.items()}
        content = save(arrays, metadata={_ABOUT: json.dumps(columns.about)})
        unfinished = file.with_name(f".{file.stem}.{uuid4().hex}")  # two may score what was given up for lost
        try:
            with unfinished.open("wb") as unnamed:
                unnamed.write(content)
                unnamed.flush()
                os.fsync(unnamed.fileno())  # the name must not reach the disk before the rows
            unfinished.replace(file)
        except OSError as error:
            raise write_error(file, error, _ELSEWHERE) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def has(self, segment: Segment) -> bool:
        """Whether the shard of a segment is there whole; one that is not is removed."""
        file = self.file(segment)
        try:
            with safe_open(file, "np") as shard:
                return _ABOUT in (shard.metadata() or {})
        except FileNotFoundError:
            return False
        except SafetensorError:
            file.unlink()
            return False

    def together(self, segments: Sequence[Segment]) -> Columns:
        """The rows of all segments as one, memory-mapped: what is changed in them stays in memory.

        The files of the segments are removed.

        Args:
            segments: one after the other, all with a shard.

        Raises:
            OSError: there is no room for them.
        """
        if not self.is_together:
            unfinished = self._pool.with_name(f".{self._pool.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                self._join(segments, unfinished)
                unfinished.rename(self._pool)
            except OSError as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise write_error(self._pool, error, _ELSEWHERE) from error
        for segment in segments:
            self.file(segment).unlink(missing_ok=True)
        about = json.loads((self._pool / f"{_ABOUT}.json").read_text(encoding="utf-8"))
        files = about.pop(_FILES)
        return Columns({name: np.load(self._pool / file, mmap_mode="c") for name, file in files.items()}, about)

    @property
    def is_together(self) -> bool:
        """Whether :meth:`together` was done before."""
        return self._pool.is_dir()

    @property
    def _pool(self) -> Path:
        return self.folder / f"pool-{self.key}"

    def _join(self, segments: Sequence[Segment], folder: Path) -> None:
        """Append the rows of each segment to the files of their columns.

        In order and not through memory maps, which on a full disk are a crash and no error.
        """
        with safe_open(self.file(segments[0]), "np") as first:
            about = json.loads(first.metadata()[_ABOUT])
            files = {name: f"{i:03d}.npy" for i, name in enumerate(sorted(first.keys()))}
            kinds = {name: first.get_tensor(name)[:0] for name in files}
        with ExitStack() as stack:
            columns = {name: stack.enter_context((folder / file).open("wb")) for name, file in files.items()}
            for name, column in columns.items():
                _write_header(column, kinds[name], segments[-1].stop)
            for segment in segments:
                with safe_open(self.file(segment), "np") as shard:
                    for name, column in columns.items():
                        column.write(np.ascontiguousarray(shard.get_tensor(name)).data)
            for column in columns.values():
                column.flush()
                os.fsync(column.fileno())  # the shards are removed next
        (folder / f"{_ABOUT}.json").write_text(json.dumps({**about, _FILES: files}), encoding="utf-8")


def _write_header(file: IO[bytes], rows: NDArray[Any], length: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**header, "shape": (length, *rows.shape[1:])})
