"""A cache folder that keeps below a number of bytes: the least recently used goes first, what is in use never goes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

# nothing else is ever deleted, in case the folder holds other things
_ENTRIES = ("frames/*.npy", "features/*/", "scored/*/", "trainings/*.safetensors")
_ABANDONED_S = 86400.0  # hidden entries are being written; one that nobody touched for a day was left by a dead process

_log = logging.getLogger(__name__)


class BoundedFolder:
    """Entries are frames ``<root>/frames/*.npy``, features ``<root>/features/*``, ``<root>/scored/*`` and trainings.

    Scores in ``scored`` are of selections that were killed, trainings ``<root>/trainings/*.safetensors`` of any run. An
    entry was used when it was last passed to :meth:`use`, which is its time of modification on disk. The object
    protects all that it used, against other processes too, until it is gone: it holds the lock of a file that lists
    them, and the operating system lets go of that lock however the process ends.

    Args:
        root: folder of the cache; made when needed.
        limit_bytes: most bytes that all entries may take together; ``None`` for no limit.
    """

    def __init__(self, root: Path | str, limit_bytes: int | None = None) -> None:
        self.root = Path(root).resolve()
        self.limit_bytes = limit_bytes
        self._leases = self.root / ".leases"
        self._leases.mkdir(parents=True, exist_ok=True)
        self._lease = self._leases / f"{uuid4().hex}.json"
        self._held = FileLock(self._lease.with_suffix(".lock"), thread_local=False)
        self._used: set[str] = set()
        weakref.finalize(self, _end, self._held, self._lease)

    def use(self, entries: Iterable[Path]) -> None:
        """Protect ``entries``, there or still to be made, and count them as just used."""
        entries = [path.resolve() for path in entries]
        with self._alone():
            if not self._held.is_locked:
                self._held.acquire()
            self._used.update(path.relative_to(self.root).as_posix() for path in entries)
            self._lease.write_text(json.dumps(sorted(self._used)))
            for path in entries:
                if path.exists():
                    os.utime(path)

    def make_room(self, needed: int = 0) -> None:
        """Delete the least recently used entries until ``needed`` more bytes fit.

        Where all that is left is in use, the limit is passed and a warning says so: a run is not stopped for it.
        """
        if self.limit_bytes is None:
            return
        with self._alone():
            in_use = self._in_use()
            entries = [e for kind in _ENTRIES for e in map(_entry, self.root.glob(kind)) if e is not None]
            total = needed + sum(e.size for e in entries)
            for entry in sorted(entries):
                if total <= self.limit_bytes:
                    return
                if entry.path.relative_to(self.root).as_posix() not in in_use and not entry.being_written:
                    _delete(entry.path)
                    total -= entry.size
        if total > self.limit_bytes:
            _log.warning(
                "%s: what is in use takes %.2f GiB, more than the limit of %.2f GiB; raise cache_limit_gib",
                self.root,
                total / 2**30,
                self.limit_bytes / 2**30,
            )

    def _alone(self) -> FileLock:
        """Nobody can start to use an entry between the look at who uses it and its deletion."""
        return FileLock(self._leases / "all.lock", thread_local=False)

    def _in_use(self) -> set[str]:
        """What this object and those of living processes use; lists of dead ones are removed."""
        found = set(self._used)
        for lease in self._leases.glob("*.json"):
            if lease == self._lease:
                continue
            lock = FileLock(lease.with_suffix(".lock"), thread_local=False)
            try:
                used = lease.read_text()
                lock.acquire(timeout=0)
            except FileNotFoundError:  # its owner has just ended
                continue
            except Timeout:
                found.update(json.loads(used))
            else:
                _end(lock, lease)
        return found


@dataclass(frozen=True, order=True)
class _Entry:
    """Ordered by last use."""

    last_used_ns: int
    path: Path
    size: int
    being_written: bool


def _entry(path: Path) -> _Entry | None:
    try:
        files = [p.stat() for p in (path, *path.rglob("*")) if p.is_file()]
        newest = max((f.st_mtime for f in files), default=path.stat().st_mtime)
        being_written = path.name.startswith(".") and time.time() - newest < _ABANDONED_S
        return _Entry(path.stat().st_mtime_ns, path, sum(f.st_size for f in files), being_written)
    except FileNotFoundError:  # another process has just finished it and given it its name
        return None


def _end(lock: FileLock, lease: Path) -> None:
    lease.unlink(missing_ok=True)
    if lock.is_locked:
        Path(lock.lock_file).unlink(missing_ok=True)  # nobody else ever waits for it
        lock.release(force=True)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
