"""What was read before, so that what has not changed need not be read again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtal.annotation.store import whole

_log = logging.getLogger(__name__)
_SETTLED_NS = 2_000_000_000  # a file may change without another time of change as long as the clock is coarse


class FilesRead:
    """States of what was read, by name, and digests of files by path, size and time of change.

    A cache beside the labels: without it all is read again, and nothing else is different. Whoever saves it holds
    :meth:`~mtal.annotation.store.LabelStore.reading`.

    Args:
        file: where it is kept.

    Attributes:
        states: name → the state in which it was read and taken in.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        told = _told(file)
        self._digests: dict[str, list[Any]] = told.get("digests", {})
        self.states: dict[str, str] = told.get("states", {})
        self._changed = False

    def digest(self, path: Path) -> str:
        """Of the content of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        found, key = path.stat(), str(path.absolute())
        known = self._digests.get(key)
        if known is not None and known[:2] == [found.st_size, found.st_mtime_ns]:
            return str(known[2])
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        if _settled(found):
            self._digests[key] = [found.st_size, found.st_mtime_ns, digest]
            self._changed = True
        return digest

    def note(self, name: str, state: str) -> None:
        """Keep the state in which something was taken in."""
        self.states[name] = state
        self._changed = True

    def save(self) -> None:
        """Keep all for the next time."""
        if self._changed:
            with whole(self._file) as unfinished:
                unfinished.write_text(json.dumps({"digests": self._digests, "states": self.states}), encoding="utf-8")
            self._changed = False


def _told(file: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none, or where it is damaged, which costs a reading."""
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:
        _log.warning("%s: damaged (%s); all that was answered is read again", file, error)
        return {}
    return told


def state_of(texts: Iterable[object], files: Iterable[str]) -> str | None:
    """By which texts and files are known again without being read; ``None`` where files are gone or new."""
    try:
        found = [os.stat(file) for file in files]  # noqa: PTH116  a tenth of the time
    except FileNotFoundError:
        return None
    if not all(map(_settled, found)):
        return None
    told = repr((*texts, *((f.st_size, f.st_mtime_ns) for f in found)))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _settled(found: os.stat_result) -> bool:
    return time.time_ns() - found.st_mtime_ns > _SETTLED_NS
