"""Decoded and resized frames on disk, memory-mapped: every round of learning reads them again."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.image_folder import parse_folder_source
from mtal.frames.reader import open_reader, read_pictures
from mtal.progress import track

_FORMAT = 3  # raised whenever cached pixels would come out differently
_CHUNK = 32  # frames decoded at once

_log = logging.getLogger(__name__)


class FrameArray:
    """N frames of many videos as one array: ``frames[positions]`` is ``[n, H, W, 3]`` uint8 RGB.

    Args:
        videos: memory-mapped ``[., H, W, 3]`` arrays.
        video: ``[N]``, which of them holds each frame.
        place: ``[N]``, where it stands there.
        size: (H, W).
        key: digest of everything the pixels depend on; what is computed from them can be kept under it.
        protection: kept alive as long as the array, where it keeps the files of ``videos`` from being deleted.
    """

    def __init__(
        self,
        videos: Sequence[NDArray[np.uint8]],
        video: NDArray[np.int64],
        place: NDArray[np.int64],
        size: tuple[int, int],
        key: str = "",
        protection: BoundedFolder | None = None,
    ) -> None:
        self._videos, self._video, self._place, self._size = list(videos), video, place, size
        self.key = key
        self._protection = protection

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self._size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""
        return (len(self), *self._size, 3)

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, positions: ArrayLike | slice) -> NDArray[np.uint8]:
        if isinstance(positions, slice):
            positions = np.arange(len(self))[positions]
        wanted = np.asarray(positions, dtype=np.int64).reshape(-1)  # [n]
        video, place = self._video[wanted], self._place[wanted]  # [n], [n]
        frames = np.empty((len(wanted), *self._size, 3), dtype=np.uint8)  # [n, H, W, 3]
        for frame, v, k in zip(frames, video.tolist(), place.tolist(), strict=True):  # each is copied once
            frame[:] = self._videos[v][k]
        return frames


class FrameCache:
    """Decodes frames once and keeps them at the size wanted, one ``.npy`` file per source.

    A file's name is a digest of all that its pixels depend on (source and when it changed, frames, size), so a changed
    video is decoded anew. Of processes that want the same file at once, one decodes it and the others wait for it; one
    that is killed lets go of its lock. Files get their name when they are whole.

    Args:
        root: folder of the cache; made when needed.
        bound: keeps the folder above within a limit; it protects the frames of an array while that lives. Without it
            nothing is ever deleted.
        workers: videos decoded at once. Each decoder has threads of its own and holds 32 frames, so few are enough.
    """

    def __init__(self, root: Path | str, bound: BoundedFolder | None = None, workers: int | None = None) -> None:
        self.root = Path(root)
        self.bound = bound
        self.workers = workers or min(4, os.cpu_count() or 1)

    def get(self, rows: pd.DataFrame, size: tuple[int, int], progress: bool = True) -> FrameArray:
        """Frames of ``rows`` (columns ``source`` and ``frame``) resized to ``size`` (H, W), in the order of the rows.

        Resizing averages over the pixels that fall together (bilinear with antialiasing), without regard to the aspect
        ratio.

        Raises:
            FileNotFoundError: a source is missing.
            IndexError: a source has no such frame.
            ValueError: a source cannot be decoded; the message names it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        sources, video = np.unique(rows["source"].to_numpy(dtype=str), return_inverse=True)  # [V], [N]
        frames = rows["frame"].to_numpy(dtype=np.int64)  # [N]
        place = np.empty(len(rows), dtype=np.int64)  # [N]
        files: list[_CachedVideo] = []
        digest = hashlib.sha256(frames.tobytes() + video.astype(np.int64).tobytes())
        for v, source in enumerate(sources.tolist()):
            here = video == v
            wanted, place[here] = np.unique(frames[here], return_inverse=True)  # [M]
            key = _key(source, wanted, size)
            files.append(_CachedVideo(self.root / f"{key}.npy", source, wanted, size))
            digest.update(key.encode())
        if self.bound is not None:
            self.bound.use(f.path for f in files)
        videos = self._open(files, progress)
        return FrameArray(videos, video.astype(np.int64), place, size, digest.hexdigest(), self.bound)

    def _open(self, files: list[_CachedVideo], progress: bool) -> list[NDArray[np.uint8]]:
        """Memory-mapped arrays of ``files``, after decoding those that are not there."""
        cached = [f.load() for f in files]
        missing = [f for f, array in zip(files, cached, strict=True) if array is None]
        if not missing:
            return [array for array in cached if array is not None]
        if self.bound is not None:
            self.bound.make_room(sum(f.bytes for f in missing))
        stop = threading.Event()
        # threads: decoding and resizing let go of the interpreter, and to start a process takes longer than most clips
        with ThreadPoolExecutor(min(self.workers, len(missing))) as pool:
            jobs = [pool.submit(f.decode, stop) for f in missing]
            try:
                for job in track(as_completed(jobs), "Decoding frames", len(jobs)) if progress else as_completed(jobs):
                    job.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self.bound is not None:
            self.bound.make_room()  # other processes may have written meanwhile
        return [f.decoded() if array is None else array for f, array in zip(files, cached, strict=True)]


@dataclass(frozen=True)
class _CachedVideo:
    """Some frames of one source at one size, in a file: an ``.npy`` array ``[M, H, W, 3]`` and an end mark.

    A file that was cut short has the wrong size. One whose last blocks were lost (a power cut, a copy broken off) may
    have the right one, so the end mark holds a checksum of the last frame: blocks reach the disk about in order, and
    reading one frame costs next to nothing where a checksum of the whole would cost a second pass over the cache.
    """

    path: Path
    source: str
    frames: NDArray[np.int64]  # [M] ascending
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.frames), *self.size, 3)

    @property
    def bytes(self) -> int:
        return math.prod(self.shape)

    def load(self) -> NDArray[np.uint8] | None:
        """The frames, or ``None`` where the file is not there or not whole."""
        if not self.path.exists():
            return None
        array = self._load()
        if array is None:
            _log.warning("%s: the cached frames of %s are damaged; decoding them again", self.path, self.source)
        return array

    def decoded(self) -> NDArray[np.uint8]:
        """The frames that :meth:`decode` has just written."""
        array = self._load()
        if array is None:
            raise ValueError(f"{self.path}: cached frames do not read back as written; is the disk failing?")
        return array

    def decode(self, stop: threading.Event) -> None:
        """Write the file, or wait for the process that does; give up without a file when ``stop`` is set."""
        locks = self.path.parent / ".locks"
        locks.mkdir(exist_ok=True)
        lock = FileLock(locks / f"{self.path.stem}.lock")
        while not stop.is_set():
            with suppress(Timeout), lock.acquire(timeout=1):
                if self._load() is None:
                    self._write(stop)
                return

    def _write(self, stop: threading.Event) -> None:
        unfinished = self.path.with_name(f".{self.path.name}")  # the lock's holder is its only writer
        try:
            # written in order and not through a memory map: a full disk is then an error rather than a crash
            with unfinished.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
                np.lib.format.write_array_header_1_0(file, header)
                for pictures in _resized(self.source, self.frames, self.size):
                    if stop.is_set():
                        return
                    file.write(np.ascontiguousarray(pictures).data)
                    last = pictures[-1]
                file.write(_end_mark(last))
                file.flush()
                os.fsync(file.fileno())  # the name must not reach the disk before the frames
            unfinished.replace(self.path)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC, f"{self.path}: the disk is full; free some of it, or set cache to a folder elsewhere"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _load(self) -> NDArray[np.uint8] | None:
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError):
            return None
        if not isinstance(array, np.memmap) or array.shape != self.shape or array.dtype != np.uint8:
            return None
        end = array.offset + array.nbytes
        with self.path.open("rb") as file:
            file.seek(end)
            return array if file.read() == _end_mark(array[-1]) else None


def _end_mark(last: NDArray[np.uint8]) -> bytes:  # [H, W, 3]
    return b"end " + zlib.crc32(np.ascontiguousarray(last).data).to_bytes(4, "big")


def _resized(source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Batches ``[<= 32, H, W, 3]`` of the frames asked."""
    with open_reader(source) as reader:
        for start in range(0, len(frames), _CHUNK):
            pictures = read_pictures(reader, frames[start : start + _CHUNK].tolist())
            yield np.stack([_at(size, p) for p in pictures])  # [n, H, W, 3]


def _at(size: tuple[int, int], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _key(source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> str:
    images = parse_folder_source(source)
    path = images.folder
    files = images.images() if path.is_dir() else [path] if path.exists() else []
    stats = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]
    content = json.dumps([_FORMAT, source, stats, frames.tolist(), list(size)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]
