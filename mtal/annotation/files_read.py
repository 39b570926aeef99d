"""Which files were read before, so that what has not changed need not be read again."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from mtal.annotation.store import whole

_SETTLED_NS = 2_000_000_000  # a file may change without another time of change as long as the clock is coarse


class FilesRead:
    """Digests of files by path, size and time of change, and which contents were taken in.

    A cache beside the labels: without it all files are read again, and nothing else is different.

    Args:
        file: where it is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._digests: dict[str, list[Any]] = told.get("digests", {})
        self.taken: dict[str, bool] = told.get("taken", {})
        self._changed = False

    def digest(self, path: Path) -> str:
        """Of the content of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        state, key = path.stat(), str(path.absolute())
        known = self._digests.get(key)
        if known is not None and known[:2] == [state.st_size, state.st_mtime_ns]:
            return str(known[2])
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
            self._digests[key] = [state.st_size, state.st_mtime_ns, digest]
            self._changed = True
        return digest

    def take(self, content: str, *, clean: bool) -> None:
        """Note that all good answers of a content were taken in, and whether there were no others."""
        self.taken[content] = clean
        self._changed = True

    def save(self) -> None:
        """Keep it for the next time."""
        if self._changed:
            with whole(self._file) as unfinished:
                unfinished.write_text(json.dumps({"digests": self._digests, "taken": self.taken}), encoding="utf-8")
            self._changed = False
