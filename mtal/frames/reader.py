"""Reading frames by number: one protocol for videos and image folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mtal.frames.decord_reader import DecordReader
from mtal.frames.guarded import LIMIT_S, GuardedReader
from mtal.frames.image_folder import ImageFolder, parse_folder_source
from mtal.frames.pyav_reader import PyAVReader, Truncated

Backend = Literal["auto", "decord", "pyav"]

_log = logging.getLogger(__name__)
_told: set[Path] = set()  # files whose fallback has been logged


class Reader(Protocol):
    """Native frames of one source. Frame k is the k-th frame that PyAV decodes sequentially, or an error is raised.

    Attributes:
        source: the video file or image folder.
        frames: ``[N]`` int64, native 0-based frame numbers in ascending order.
        times_s: ``[N]`` float64, presentation times in seconds, of which the first frame of a video has 0.
        frame_size: (H, W); in a folder of images of several sizes, of the first.
    """

    source: Path
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    frame_size: tuple[int, int]

    def __len__(self) -> int: ...

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames of one size in the order asked; repeats are allowed."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_reader(
    source: Path | str, backend: Backend = "pyav", on_truncated: Truncated = "raise", limit_s: float = LIMIT_S
) -> Reader:
    """The reader for a video file or an image folder. Videos are decoded in another process.

    Args:
        source: a video file, or an image folder, for which :func:`mtal.frames.image_folder.folder_source` says how
            its files count.
        backend: for videos, ``"pyav"``; ``"decord"``, refused on files on which a decode of the whole file does not
            prove it right; or ``"auto"``: decord where that is proved and PyAV elsewhere, which is logged once per
            file. PyAV is exact on every file, seeks as well and opens far faster.
        on_truncated: for videos with fewer frames than the header promises, ``"raise"`` or ``"keep"`` those that
            decode.
        limit_s: seconds without a new frame after which the decoder counts as hung and is ended.

    Raises:
        FileNotFoundError: there is no such file or folder, or no image in the folder.
        TimeoutError: the decoder hangs.
        ValueError: the source cannot be read; the message says why and what to do.
    """
    if backend not in ("auto", "decord", "pyav"):
        raise ValueError(f"unknown backend {backend!r}; backends are auto, decord and pyav")
    images = parse_folder_source(str(source))
    path = images.folder
    if path.is_dir():
        return ImageFolder(*images)
    if backend == "pyav":
        return GuardedReader(path, partial(PyAVReader, path, on_truncated), limit_s)
    try:
        return GuardedReader(path, partial(DecordReader, path), limit_s)
    except (ValueError, TimeoutError) as error:
        if backend == "decord":
            raise
        reader = GuardedReader(path, partial(PyAVReader, path, on_truncated), limit_s)
        if path not in _told:
            _told.add(path)
            _log.warning("%s; reading it with PyAV", str(error).rpartition(";")[0])
        return reader


def read_pictures(reader: Reader, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
    """``[H, W, 3]`` RGB of each frame in its own size, in the order asked: images of one folder may be of several.

    Raises:
        IndexError: the source has no such frame.
        ValueError: a frame does not decode.
    """
    return reader.pictures(frames) if isinstance(reader, ImageFolder) else list(reader.read(frames))
