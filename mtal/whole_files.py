"""Files and folders that are written whole or not at all, and what is said where the disk is full.

What is written is on the disk before it gets its name: a name that outlives a power cut has all of its content. Whether
the name itself does is left to the file system; without it the work is done again.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or a person's share of it
_ELSEWHERE = "set cache to a folder elsewhere"
IN_A_RUN = "put the run folder elsewhere"
"""The way out where it is a file of a run folder."""


@contextmanager
def whole_or_not(path: Path, elsewhere: str = _ELSEWHERE) -> Iterator[Path]:
    """A hidden file to write to, which gets the name ``path`` at the end, or is removed where an error comes up.

    Args:
        path: the file.
        elsewhere: what to do where it cannot be written, but for mending that.

    Raises:
        OSError: it cannot be written; the message names it and the reason.
    """
    unfinished = path.with_name(f".{path.name}")
    try:
        yield unfinished
        _to_disk(unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise write_error(path, error, elsewhere) from error
    finally:
        unfinished.unlink(missing_ok=True)


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


def write_whole(path: Path, text: str) -> None:
    """Write a small file of a run folder so that it is there whole or not at all.

    Raises:
        OSError: it cannot be written; the message names it and the reason.
    """
    with whole_or_not(path, IN_A_RUN) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _to_disk(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())


def write_error(path: Path, error: OSError, elsewhere: str = _ELSEWHERE) -> OSError:
    """The error of a write, which often lacks the name of the file, with it and a way out."""
    what = f"the disk is full; free some of it, or {elsewhere}"
    if error.errno not in _FULL:
        what = f"it cannot be written ({error.strerror or error}); mend that, or {elsewhere}"
    return OSError(error.errno, f"{path}: {what}")
