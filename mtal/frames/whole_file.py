"""Files that are written whole or not at all, and what is said where the disk is full."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk, or a person's share of it
_ELSEWHERE = "set cache to a folder elsewhere"


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
        unfinished.replace(path)
    except OSError as error:
        raise write_error(path, error, elsewhere) from error
    finally:
        unfinished.unlink(missing_ok=True)


def write_error(path: Path, error: OSError, elsewhere: str = _ELSEWHERE) -> OSError:
    """The error of a write, which often lacks the name of the file, with it and a way out."""
    what = f"the disk is full; free some of it, or {elsewhere}"
    if error.errno not in _FULL:
        what = f"it cannot be written ({error.strerror or error}); mend that, or {elsewhere}"
    return OSError(error.errno, f"{path}: {what}")
