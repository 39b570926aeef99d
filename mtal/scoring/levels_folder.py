"""Levels of an encoder in a folder that is either whole or not there."""

from __future__ import annotations

import errno
import io
import math
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtal.frames.bounded_folder import BoundedFolder
from mtal.whole_files import is_full, whole_folder, write_all, write_error

ELSEWHERE = "set cache to a folder elsewhere, take fewer or smaller frames, or keep no features: encoder.frozen=false"
"""The way out where features do not fit on the disk."""

Levels = Sequence[npt.NDArray[np.float16]]
"""Of n frames, ``[n, …]`` each."""


def write_levels(batches: Iterable[Levels], frames: int, folder: Path, bound: BoundedFolder | None = None) -> None:
    """Write batches one after the other, a file per level, ``level00.npy`` and so on.

    The first batch tells how much room all will take, which is looked for before anything is written. Files are written
    in order. The folder gets its name when all of them are on the disk, and an error, of ``batches`` too, leaves none
    behind. Whoever calls has made sure to be the only writer.

    Args:
        batches: of all frames in order.
        frames: how many there are.
        folder: to be made.
        bound: makes room where there is a limit.

    Raises:
        OSError: they cannot be written; the message says why and what to do.
    """
    try:
        with whole_folder(folder) as unfinished, ExitStack() as files:
            opened: list[io.FileIO] = []
            for levels in batches:
                if not opened:
                    needed = frames * sum(x.itemsize * math.prod(x.shape[1:]) for x in levels)
                    make_room(needed, str(frames), folder, bound)
                    names = [unfinished / f"level{i:02d}.npy" for i in range(len(levels))]
                    opened = [files.enter_context(name.open("wb", buffering=0)) for name in names]
                    for file, level in zip(opened, levels, strict=True):
                        write_all(file, _header(level, frames))
                for file, level in zip(opened, levels, strict=True):
                    write_all(file, np.ascontiguousarray(level).reshape(-1).view(np.uint8).data)
    except OSError as error:
        if not is_full(error) or str(folder) in str(error):
            raise
        raise write_error(folder, error, ELSEWHERE) from error


def make_room(needed: int, of: str, folder: Path, bound: BoundedFolder | None = None) -> None:
    """Look for room for ``needed`` bytes of ``of`` frames: hours of encoding should not end at a full disk.

    Raises:
        OSError: there is none.
    """
    if bound is not None:
        bound.make_room(needed)
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{folder}: the encoder's features of {of} frames need {needed / 2**30:.2f} GiB and "
            f"{free / 2**30:.2f} GiB are free; free some more, or {ELSEWHERE}",
        )


def _header(level: npt.NDArray[np.float16], frames: int) -> memoryview:
    header = io.BytesIO()
    shape = (frames, *level.shape[1:])
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return header.getbuffer()
