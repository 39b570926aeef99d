"""Levels of an encoder in a folder that is either whole or not there."""

from __future__ import annotations

import errno
import io
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from mtal.frames.bounded_folder import BoundedFolder

_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or a person's share of it
_WAYS_OUT = (
    "free some of the disk, set cache to a folder elsewhere, take fewer or smaller frames, or encoder.frozen=false, "
    "which keeps no features"
)

Levels = Sequence[npt.NDArray[np.float16]]
"""Of n frames, ``[n, …]`` each."""


def write_levels(batches: Iterable[Levels], frames: int, folder: Path, bound: BoundedFolder | None = None) -> None:
    """Write batches one after the other, a file per level, ``level00.npy`` and so on.

    The first batch tells how much room all will take, which is looked for before anything is written. Files are written
    in order and not through a memory map: on a full disk that is an error rather than a crash. The folder gets its name
    when all of them are on the disk, and an error, of ``batches`` too, leaves none behind. Whoever calls has made sure
    to be the only writer.

    Args:
        batches: of all frames in order.
        frames: how many there are.
        folder: to be made.
        bound: makes room where there is a limit.

    Raises:
        OSError: they cannot be written; the message says why and what to do.
    """
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        unfinished.mkdir()
        with ExitStack() as files:
            opened: list[io.FileIO] = []
            for levels in batches:
                if not opened:
                    needed = frames * sum(x.itemsize * math.prod(x.shape[1:]) for x in levels)
                    make_room(needed, str(frames), folder, bound)
                    names = [unfinished / f"level{i:02d}.npy" for i in range(len(levels))]
                    opened = [files.enter_context(name.open("wb", buffering=0)) for name in names]
                    for file, level in zip(opened, levels, strict=True):
                        _append(file, _header(level, frames))
                for file, level in zip(opened, levels, strict=True):
                    _append(file, np.ascontiguousarray(level).reshape(-1).view(np.uint8).data)
            for file in opened:
                os.fsync(file.fileno())  # the name must not reach the disk before the features
        unfinished.rename(folder)
    except OSError as error:
        if error.errno not in _FULL or str(folder) in str(error):
            raise
        raise OSError(error.errno, f"{folder}: the disk is full; {_WAYS_OUT}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which gets its name when the block ends without an error.

    Raises:
        OSError: it cannot be written; the message says why and what to do.
    """
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")  # processes of two containers may have one number
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(error.errno, f"{path}: the disk is full; {_WAYS_OUT}") from error
    finally:
        unfinished.unlink(missing_ok=True)


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
            f"{free / 2**30:.2f} GiB are free; {_WAYS_OUT}",
        )


def _header(level: npt.NDArray[np.float16], frames: int) -> memoryview:
    header = io.BytesIO()
    shape = (frames, *level.shape[1:])
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return header.getbuffer()


def _append(file: io.FileIO, content: memoryview) -> None:  # of bytes
    while content:
        content = content[file.write(content) :]
