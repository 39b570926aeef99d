"""Decoded and resized frames on disk: every round of learning reads them again."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
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

from mtal.cores import usable_cores
from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.decoder import versions
from mtal.frames.fit import ALL, Box, Fit, check_fit, content_of, fitted, window_for
from mtal.frames.frames_file import FramesFile
from mtal.frames.image_folder import parse_folder_source
from mtal.frames.protocol import Reader
from mtal.frames.reader import Backend, check_backend, open_reader, read_pictures
from mtal.frames.request import positions
from mtal.frames.window import Window, Windows
from mtal.progress import track
from mtal.refusals import Refusals
from mtal.whole_files import whole_or_not

_FORMAT = 4  # raised whenever cached pixels would come out differently
_CHUNK = 32  # frames decoded at once at most
_CHUNK_BYTES = 2**28  # of them; frames in 4K are fewer
_LOOKED_AT = 16  # frames of a recording that tell where the endoscope's picture is
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
        windows: ``[N, 4]``, what each picture shows of its frame, see :class:`~mtal.frames.window.Window`; ``None`` for
            all of it.
        protection: kept alive as long as the array, where it keeps the files of ``videos`` from being deleted.
    """

    def __init__(
        self,
        videos: Sequence[FramesFile | NDArray[np.uint8]],
        video: NDArray[np.int64],
        place: NDArray[np.int64],
        size: tuple[int, int],
        key: str = "",
        windows: Windows | None = None,
        protection: BoundedFolder | None = None,
    ) -> None:
        self._videos, self._video, self._place, self._size = list(videos), video, place, size
        self.key = key
        self.windows = windows
        self._protection = protection

    def __reduce__(self) -> tuple[type[FrameArray], tuple[object, ...]]:
        return FrameArray, (self._videos, self._video, self._place, self._size, self.key, self.windows)

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
        workers: videos decoded at once. Each decoder has threads of its own and holds 32 frames, or 256 MiB of
            them, so few are enough.
        backend: who decodes videos, see :func:`~mtal.frames.reader.open_reader`. Files are the same by all of them.
    """

    def __init__(
        self,
        root: Path | str,
        bound: BoundedFolder | None = None,
        workers: int | None = None,
        backend: Backend = "pyav",
    ) -> None:
        check_backend(backend)
        self.root = Path(root)
        self.bound = bound
        self.backend: Backend = backend
        self.workers = workers or min(4, usable_cores())

    def get(self, rows: pd.DataFrame, size: tuple[int, int], progress: bool = True, fit: Fit = "stretch") -> FrameArray:
        """Frames of ``rows`` (columns ``source`` and ``frame``) resized to ``size`` (H, W), in the order of the rows.

        Resizing averages over the pixels that fall together (bilinear with antialiasing). What of a frame is shown, and
        whether it keeps its aspect, says ``fit``. With ``content`` some frames of each recording are looked at first,
        and all of it is cut alike; a recording is what has one ``video`` in ``rows``, else one source.

        Raises:
            FileNotFoundError: a source is missing.
            IndexError: a source has no such frame.
            ValueError: a source cannot be decoded; the message names it. There is no such fit.
        """
        check_fit(fit)
        self.root.mkdir(parents=True, exist_ok=True)
        number, names = pd.factorize(rows["source"])  # [N], [V], without a copy of its name for each frame
        sources, rank = np.unique(np.asarray(names, dtype=str), return_inverse=True)  # [V], [V]
        video = rank[number].astype(np.int64)  # [N]
        by_video = np.argsort(video, kind="stable")  # [N]
        of_video = np.split(by_video, np.searchsorted(video[by_video], np.arange(1, len(sources))))  # rows of each
        frames = rows["frame"].to_numpy(dtype=np.int64)  # [N]
        place = np.empty(len(rows), dtype=np.int64)  # [N]
        recording = pd.factorize(rows["video"])[0] if "video" in rows else video  # [N]
        files: list[_CachedVideo] = []
        digest = hashlib.sha256(frames.tobytes() + video.tobytes())
        for source, here in zip(sources.tolist(), of_video, strict=False):  # of no rows there is one part
            wanted, first, place[here] = np.unique(frames[here], return_index=True, return_inverse=True)  # [M]
            of_which = pd.factorize(recording[here][first])[0] if fit == "content" else np.zeros_like(wanted)  # [M]
            key = _key(source, wanted, size, fit, of_which)
            file = FramesFile(self.root / f"{key}.npy", (len(wanted), *size, 3))
            files.append(_CachedVideo(file, source, wanted, fit, of_which, self.backend))
            digest.update(key.encode())
        if self.bound is not None:
            self.bound.use(path for f in files for path in f.paths())
        self._decode([f for f in files if not f.is_there()], progress)
        windows = None
        if fit != "stretch":
            windows = np.empty((len(rows), 4))
            for file_of_video, here in zip(files, of_video, strict=False):
                windows[here] = file_of_video.windows()[place[here]]
        videos = [f.file for f in files]
        return FrameArray(videos, video, place, size, digest.hexdigest(), windows, self.bound)

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
                for job in (
                    track(as_completed(jobs), "Decoding frames", len(jobs), "files") if progress else as_completed(jobs)
                ):
                    if not isinstance(job.exception(), _OF_A_SOURCE):
                        job.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self.bound is not None:
            self.bound.make_room()  # other processes may have written meanwhile
        refusals = Refusals()
        for job in jobs:
            if isinstance(error := job.exception(), Exception):
                refusals.take(error)
        refusals.tell(what=f"faults in {sum(job.exception() is not None for job in jobs)} of {len(missing)} sources")

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
        fit: how frames become pictures.
        recording: ``[M]``, which of the source's recordings each frame is of.
        backend: who decodes it.
    """

    file: FramesFile
    source: str
    frames: NDArray[np.int64]
    fit: Fit
    recording: NDArray[np.int64]
    backend: Backend

    def paths(self) -> list[Path]:
        """What is on disk when it is there: the pictures and, unless they are stretched, what they show."""
        return [self.file.path] if self.fit == "stretch" else [self.file.path, self._windows]

    @property
    def _windows(self) -> Path:
        return self.file.path.with_suffix(".windows.npy")

    def windows(self) -> NDArray[np.float64]:
        """``[M, 4]``, see :class:`~mtal.frames.window.Window`."""
        return np.asarray(np.load(self._windows, allow_pickle=False), dtype=np.float64)

    def _is_whole(self) -> bool:
        if not self.file.is_whole():
            return False
        if self.fit == "stretch":
            return True
        try:
            return self.windows().shape == (len(self.frames), 4)
        except (OSError, ValueError, EOFError):
            return False

    def is_there(self) -> bool:
        """Whether the frames need not be decoded."""
        whole = self._is_whole()
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
                if not self._is_whole():
                    with closing(self._pictures(stop)) as pictures:  # the reader too, where the disk is full
                        self.file.write(pictures)
                    self._check()
                return

    def _check(self) -> None:
        if not self._is_whole():
            raise ValueError(
                f"{self.file.path}: the cached frames of {self.source} do not read back as written; check the disk, or "
                "set cache to a folder elsewhere"
            )

    def _pictures(self, stop: threading.Event) -> Generator[NDArray[np.uint8], None, None]:
        for pictures in self._resized(self.file.shape[1:3]):
            if stop.is_set():
                raise CancelledError(f"{self.source}: another source could not be decoded")
            yield pictures

    def _resized(self, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
        """Batches ``[<= 32, H, W, 3]`` of the frames asked; then what they show is on disk as well."""
        windows: list[Window] = []
        # whoever listed the frames has decided what becomes of truncated files
        with open_reader(self.source, backend=self.backend, on_truncated="keep") as reader:
            positions(self.source, reader.frames, self.frames)
            content = self._content(reader)
            chunk = min(_CHUNK, max(1, _CHUNK_BYTES // (3 * math.prod(reader.frame_size))))
            for start in range(0, len(self.frames), chunk):
                pictures = read_pictures(reader, self.frames[start : start + chunk].tolist())
                shown = [
                    window_for(self.fit, (p.shape[0], p.shape[1]), size, content[r])
                    for p, r in zip(pictures, self.recording[start : start + chunk].tolist(), strict=True)
                ]
                windows += shown
                yield np.stack([fitted(p, size, w) for p, w in zip(pictures, shown, strict=True)])  # [n, H, W, 3]
        if self.fit != "stretch":
            self._keep(np.array(windows, dtype=np.float64))

    def _content(self, reader: Reader) -> list[Box]:
        """Where the endoscope's picture is in each recording, ``[R]``."""
        found = []
        for number in range(int(self.recording.max(initial=0)) + 1):
            if self.fit != "content":
                found.append(ALL)
                continue
            frames = self.frames[self.recording == number]
            some = frames[np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).round().astype(np.int64))]
            found.append(content_of(read_pictures(reader, some.tolist())))
        return found

    def _keep(self, windows: NDArray[np.float64]) -> None:
        with whole_or_not(self._windows) as unfinished:
            np.save(unfinished, windows)


def _key(source: str, frames: NDArray[np.int64], size: tuple[int, int], fit: Fit, recording: NDArray[np.int64]) -> str:
    images = parse_folder_source(source)
    path = images.folder
    files = images.images() if path.is_dir() else [path] if path.exists() else []
    stats = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]
    fitted_by = [] if fit == "stretch" else [fit, recording.tolist()]  # stretched frames keep the keys they had
    content = json.dumps([_FORMAT, versions(), source, stats, frames.tolist(), list(size), *fitted_by])
    return hashlib.sha256(content.encode()).hexdigest()[:32]
