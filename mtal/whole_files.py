"""Files and folders that are written whole or not at all, and what is said where the disk is full.

What is written is on the disk before it gets its name: a name that outlives a power cut has all of its content. Whether
the name itself does is left to the file system; without it the work is done again.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from uuid import uuid4

_ELSEWHERE = "set cache to a folder elsewhere"
IN_A_RUN = "put the run folder elsewhere"
"""The way out where it is a file of a run folder."""


@contextmanager
def whole_or_not(path: Path, elsewhere: str = _ELSEWHERE, *, several: bool = False) -> Iterator[Path]:
    """A hidden file to write to, which gets the name ``path`` at the end, or is removed where an error comes up.

    Args:
        path: the file.
        elsewhere: what to do where it cannot be written, but for mending that.
        several: whether others may be writing it too, each to a hidden file of its own; the last one done counts.

    Raises:
        OSError: it cannot be written; the message names it and the reason.
    """
    own = f".{uuid4().hex}" if several else ""  # processes of two containers may have one number
    unfinished = path.with_name(f".{path.stem}{own}{path.suffix}")
    try:
        with _naming(path, elsewhere):
            yield unfinished
            _to_disk(unfinished)
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_stream(path: Path, elsewhere: str = _ELSEWHERE) -> Iterator[Callable[[bytes | memoryview], None]]:
    """A function that appends to a hidden file, which gets the name ``path`` at the end; for what comes in pieces.

    What goes wrong with the pieces, and not with writing them, is told as it is. Whoever calls has made sure to be the
    only writer.

    Args:
        path: the file.
        elsewhere: as for :func:`whole_or_not`.

    Raises:
        OSError: it cannot be written; the message names it and the reason.
    """
    unfinished = path.with_name(f".{path.name}")
    try:
        with _naming(path, elsewhere):
            file = unfinished.open("wb", buffering=0)
        with file:

            def append(content: bytes | memoryview) -> None:
                with _naming(path, elsewhere):
                    write_all(file, content)

            yield append
            with _naming(path, elsewhere):
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_all(file: FileIO, content: bytes | memoryview) -> None:
    """Write all of the content, where one call may write part of it.

    Not through a memory map: on a full disk that is an error rather than a crash.
    """
    rest = memoryview(content).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A hidden folder to fill, which gets the name ``path`` at the end, or is removed where an error comes up."""
    unfinished = path.with_name(f".{path.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        yield unfinished
        for file in unfinished.rglob("*"):
            if file.is_file():
                _to_disk(file)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def write_whole(path: Path, text: str, *, several: bool = False) -> None:
    """Write a small file of a run folder so that it is there whole or not at all.

    Args:
        path: the file.
        text: its content.
        several: as for :func:`whole_or_not`.

    Raises:
        OSError: it cannot be written; the message names it and the reason.
    """
    with whole_or_not(path, IN_A_RUN, several=several) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _to_disk(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())


@contextmanager
def _naming(path: Path, elsewhere: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(path, error, elsewhere) from error


def is_full(error: OSError) -> bool:
    """Whether the disk is, or a person's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_error(path: Path, error: OSError, elsewhere: str = _ELSEWHERE) -> OSError:
    """The error of a write, which often lacks the name of the file, with it and a way out."""
    what = f"the disk is full; free some of it, or {elsewhere}"
    if not is_full(error):
        what = f"it cannot be written ({error.strerror or error}); mend that, or {elsewhere}"
    return OSError(error.errno, f"{path}: {what}")
