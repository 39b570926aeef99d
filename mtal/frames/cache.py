"""Decoded and resized frames on disk, memory-mapped: every round of learning reads them again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mtal.frames.image_folder import parse_folder_source
from mtal.frames.reader import open_reader
from mtal.progress import track

_FORMAT = 1  # raised whenever cached pixels would come out differently
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
    """

    def __init__(
        self,
        videos: Sequence[NDArray[np.uint8]],
        video: NDArray[np.int64],
        place: NDArray[np.int64],
        size: tuple[int, int],
        key: str = "",
    ) -> None:
        self._videos, self._video, self._place, self._size = list(videos), video, place, size
        self.key = key

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
        for v in np.unique(video):
            here = video == v
            frames[here] = self._videos[v][place[here]]
        return frames


class FrameCache:
    """Decodes frames once and keeps them at the size wanted, one ``.npy`` file per source.

    A file's name is a digest of all that its pixels depend on (source and when it changed, frames, size), so a changed
    video is decoded anew. Files get their name when they are whole. Nothing is ever deleted; clear the folder at will.

    Args:
        root: folder of the cache; made when needed.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

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
        videos: list[NDArray[np.uint8]] = []
        digest = hashlib.sha256(frames.tobytes() + video.astype(np.int64).tobytes())
        numbered = list(enumerate(sources.tolist()))
        for v, source in track(numbered, "Decoding frames") if progress else numbered:
            here = video == v
            wanted, place[here] = np.unique(frames[here], return_inverse=True)  # [M]
            videos.append(self._video(source, wanted, size))
            digest.update(_key(source, wanted, size).encode())
        return FrameArray(videos, video.astype(np.int64), place, size, digest.hexdigest())

    def _video(self, source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """``[M, H, W, 3]`` of one source, from the cache where it is there and whole."""
        shape = (len(frames), *size, 3)
        path = self.root / f"{_key(source, frames, size)}.npy"
        if path.exists():
            cached = _load(path, shape)
            if cached is not None:
                return cached
            _log.warning("%s: the cached frames of %s are damaged; decoding them again", path, source)
        self._write(path, source, frames, shape)
        cached = _load(path, shape)
        if cached is None:
            raise ValueError(f"{path}: cached frames do not read back as written; is the disk full or failing?")
        return cached

    def _write(self, path: Path, source: str, frames: NDArray[np.int64], shape: tuple[int, int, int, int]) -> None:
        unfinished = path.with_name(f".{path.stem}.{os.getpid()}.npy")  # two processes may decode one video
        try:
            array = open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
            done = 0
            for pictures in _resized(source, frames, shape[1:3]):
                array[done : done + len(pictures)] = pictures
                done += len(pictures)
            array.flush()
            del array
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _resized(source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Batches ``[<= 32, H, W, 3]`` of the frames asked."""
    height, width = size
    with open_reader(source) as reader:
        for start in range(0, len(frames), _CHUNK):
            pictures = reader.read(frames[start : start + _CHUNK].tolist())  # [n, h, w, 3]
            if pictures.shape[1:3] != size:
                images = (Image.fromarray(p).resize((width, height), Image.Resampling.BILINEAR) for p in pictures)
                pictures = np.stack([np.asarray(image) for image in images])  # [n, H, W, 3]
            yield pictures


def _load(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _key(source: str, frames: NDArray[np.int64], size: tuple[int, int]) -> str:
    images = parse_folder_source(source)
    path = images.folder
    files = images.images() if path.is_dir() else [path] if path.exists() else []
    stats = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]
    content = json.dumps([_FORMAT, source, stats, frames.tolist(), list(size)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]
