"""Decoded and resized frames on disk: every round of learning reads them again."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.decoder import versions
from mtal.frames.faults import together
from mtal.frames.frames_file import FramesFile
from mtal.frames.image_folder import parse_folder_source
from mtal.frames.reader import open_reader, read_pictures
from mtal.frames.request import positions
from mtal.progress import track

_FORMAT = 4  # raised whenever cached pixels would come out differently
_CHUNK = 32  # frames decoded at once
_OF_A_SOURCE = (ValueError, IndexError, FileNotFoundError, TimeoutError)  # the others may be right

_log = logging.getLogger(__name__)


class FrameArray:
    """N frames of many videos as one array: ``frames[positions]`` is ``[n, H, W, 3]`` uint8 RGB.

    A copy made by pickling reads the same files and does not protect them; whoever sends it does.

    Args:
        videos: the frames ``[., H, W, 3]`` of each video, in files or in memory.
        video: ``[N]``, which of them holds each frame.
        place: ``[N]``, where it stands there.
        size: (H, W).
        key: digest of everything the pixels depend on; what is computed from them can be kept under it.
        protection: kept alive as long as the array, where it keeps the files of ``videos`` from being deleted.
    """

    def __init__(
        self,
        videos: Sequence[FramesFile | NDArray[np.uint8]],
        video: NDArray[np.int64],
        place: NDArray[np.int64],
        size: tuple[int, int],
        key: str = "",
        protection: BoundedFolder | None = None,
    ) -> None:
        self._videos, self._video, self._place, self._size = list(videos), video, place, size
        self.key = key
        self._protection = protection

    def __reduce__(self) -> tuple[type[FrameArray], tuple[object, ...]]:
        return FrameArray, (self._videos, self._video, self._place, self._size, self.key)

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
        by_video = np.argsort(video, kind="stable")  # [n]
        for here in np.split(by_video, np.flatnonzero(np.diff(video[by_video])) + 1):
            if len(here):
                self._read(video[here[0]], place[here].tolist(), [frames[i] for i in here.tolist()])
        return frames

    def _read(self, video: int, places: list[int], into: list[NDArray[np.uint8]]) -> None:
        pictures = self._videos[video]
        if isinstance(pictures, FramesFile):
            pictures.read(places, into)
            return
        for place, frame in zip(places, into, strict=True):
            frame[:] = pictures[place]


class FrameCache:
    """Decodes frames once and keeps them at the size wanted, one ``.npy`` file per source.

    A file's name is a digest of all that its pixels depend on (source and when it changed, frames, size, versions of
    the decoders), so a changed video is decoded anew. Of processes that want the same file at once, one decodes it and
    the others wait for it; one that is killed lets go of its lock. Files get their name when they are whole.

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
            file = FramesFile(self.root / f"{key}.npy", (len(wanted), *size, 3))
            files.append(_CachedVideo(file, source, wanted))
            digest.update(key.encode())
        if self.bound is not None:
            self.bound.use(f.file.path for f in files)
        self._decode([f for f in files if not f.is_there()], progress)
        videos = [f.file for f in files]
        return FrameArray(videos, video.astype(np.int64), place, size, digest.hexdigest(), self.bound)

    def _decode(self, missing: list[_CachedVideo], progress: bool) -> None:
        if not missing:
            return
        needed = sum(f.file.size_bytes for f in missing)
        if self.bound is not None:
            self.bound.make_room(needed)
        self._check_room(needed)
        stop = threading.Event()
        # threads: decoding and resizing let go of the interpreter, and to start a process takes longer than most clips
        with ThreadPoolExecutor(min(self.workers, len(missing))) as pool:
            jobs = [pool.submit(f.decode, stop) for f in missing]
            try:
                for job in track(as_completed(jobs), "Decoding frames", len(jobs)) if progress else as_completed(jobs):
                    if not isinstance(job.exception(), _OF_A_SOURCE):
                        job.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self.bound is not None:
            self.bound.make_room()  # other processes may have written meanwhile
        faults = [error for job in jobs if isinstance(error := job.exception(), Exception)]
        if faults:
            raise together(faults, f"of {len(missing)} sources cannot be read")

    def _check_room(self, needed: int) -> None:
        """Hours of decoding should not end at a full disk."""
        free = shutil.disk_usage(self.root).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"{self.root}: decoded frames need {needed / 2**30:.2f} GiB and {free / 2**30:.2f} GiB are free; free "
                "some of the disk, set cache to a folder elsewhere, or take smaller or fewer frames",
            )


@dataclass(frozen=True)
class _CachedVideo:
    """Some frames of one source at one size, in a file.

    Attributes:
        frames: ``[M]``, ascending.
    """

    file: FramesFile
    source: str
    frames: NDArray[np.int64]

    def is_there(self) -> bool:
        """Whether the frames need not be decoded."""
        whole = self.file.is_whole()
        if not whole and self.file.path.exists():
            _log.warning("%s: the cached frames of %s are damaged; decoding them again", self.file.path, self.source)
        return whole

    def decode(self, stop: threading.Event) -> None:
        """Write the file, or wait for the process that does; give up without a file when ``stop`` is set."""
        locks = self.file.path.parent / ".locks"
        locks.mkdir(exist_ok=True)
        lock = FileLock(locks / f"{self.file.path.stem}.lock")
        while not stop.is_set():
            with suppress(Timeout), lock.acquire(timeout=1):
                if not self.file.is_whole():
                    with closing(self._pictures(stop)) as pictures:  # the reader too, where the disk is full
                        self.file.write(pictures)
                    self._check()
                return

    def _check(self) -> None:
        if not self.file.is_whole():
            raise ValueError(
                f"{self.file.path}: the cached frames of {self.source} do not read back as written; check the disk, or "
                "set cache to a folder elsewhere"
            )

    def _pictures(self, stop: threading.Event) -> Generator[NDArray[np.uint8], None, None]:
        for pictures in _resized(self.source, self.frames, self.file.shape[1:3]):
            if stop.is_set():
                raise CancelledError(f"{self.source}: another source could not be decoded")
            yield pictures


def _resized(source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Batches ``[<= 32, H, W, 3]`` of the frames asked."""
    with open_reader(source, on_truncated="keep") as reader:  # whoever listed the frames has decided
        positions(source, reader.frames, frames)
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
    content = json.dumps([_FORMAT, versions(), source, stats, frames.tolist(), list(size)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]
