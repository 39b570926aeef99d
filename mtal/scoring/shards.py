"""What is kept of the segments of a pass: rows in the files of the pool, or a file of a segment's own until then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mtal.scoring.column_files import ColumnFiles, Columns
from mtal.scoring.segments import Segment
from mtal.whole_files import IN_A_RUN, whole_or_not

_ABOUT = "about"


@dataclass(frozen=True)
class Shards:
    """The shards of one pass over the pool, in a folder.

    Names say the key of all that a shard depends on, so what a pass that was killed has left is found by the next, and
    what was left of another pass is not. The process that asks writes rows to their places in the files of the pool.
    Any other writes a file for each segment, whose rows are taken in from there: two machines that write to one page
    of a file on a shared disk may undo each other's work.

    Args:
        folder: where they lie, which is there.
        key: of the pass.
        frames: how many candidates there are.
    """

    folder: Path
    key: str
    frames: int
    pool: ColumnFiles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", ColumnFiles(self.folder / f"pool-{self.key}", self.frames))

    def file(self, segment: Segment) -> Path:
        """Where another process has its shard of a segment when it is whole."""
        return self.folder / f"{segment.start:09d}-{segment.stop:09d}-{self.key}.safetensors"

    def write(self, segment: Segment, columns: Columns) -> None:
        """Write the shard of a segment in another process than the one that asks.

        Raises:
            OSError: it cannot be written; nor is the folder made anew, for a pass that has ended wants no more shards.
        """
        file = self.file(segment)
        arrays = {name: np.ascontiguousarray(rows) for name, rows in columns.arrays.items()}
        content = save(arrays, metadata={_ABOUT: json.dumps(columns.about)})
        with whole_or_not(file, IN_A_RUN, several=True) as unfinished:  # two may score what was given up for lost
            unfinished.write_bytes(content)

    def has(self, segment: Segment) -> bool:
        """Whether the shard of a segment is there whole; one that is not is removed."""
        if self.pool.has(segment):
            return True
        file = self.file(segment)
        try:
            with safe_open(file, "np") as shard:
                return _ABOUT in (shard.metadata() or {})
        except FileNotFoundError:
            return False
        except SafetensorError:
            file.unlink()
            return False

    def new(self, segments: Iterable[Segment]) -> list[Segment]:
        """Those of which another process has a shard by now: one look at the folder, however many are asked for."""
        names = {entry.name for entry in os.scandir(self.folder)}
        return [segment for segment in segments if self.file(segment).name in names and self.has(segment)]

    def take_in(self, segment: Segment) -> None:
        """Put the rows of a segment that has a shard to their places, where they are not there yet.

        Raises:
            OSError: they cannot be written.
        """
        if not self.pool.has(segment):
            with safe_open(self.file(segment), "np") as shard:
                about = json.loads(shard.metadata()[_ABOUT])
                arrays = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118  it is no mapping
                self.pool.put(segment, Columns(arrays, about))
        self.file(segment).unlink(missing_ok=True)

    def together(self, segments: Sequence[Segment]) -> Columns:
        """The rows of all segments as one, memory-mapped: what is changed in them stays in memory.

        Args:
            segments: that together are all candidates, all with a shard.

        Raises:
            OSError: there is no room for them.
        """
        for segment in segments:
            self.take_in(segment)
        return self.pool.read()
