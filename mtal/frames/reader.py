"""Opening what frames are read from: a video or a folder of images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mtal.frames.decord_reader import DecordReader
from mtal.frames.guarded import LIMIT_S, GuardedReader
from mtal.frames.image_folder import ImageFolder, parse_folder_source
from mtal.frames.protocol import Reader
from mtal.frames.pyav_reader import PyAVReader, Truncated

Backend = Literal["auto", "decord", "pyav"]

_log = logging.getLogger(__name__)
_told: set[Path] = set()  # files whose fallback has been logged


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
        on_truncated: for videos with fewer frames than the header promises, or with joined ones unread, ``"raise"`` or
            ``"keep"`` those that decode.
        limit_s: seconds without a new frame after which the decoder counts as hung and is ended.

    Raises:
        FileNotFoundError: there is no such file or folder, or no image in the folder.
        TimeoutError: the decoder hangs.
        ValueError: the source cannot be read; the message says why and what to do.
    """
    check_backend(backend)
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


def check_backend(backend: str) -> None:
    """Refuse one that there is not.

    Raises:
        ValueError: there is no such backend; the message names those that there are.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"unknown backend {backend!r}; frames.backend is {', '.join(get_args(Backend))}")


def read_pictures(reader: Reader, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
    """``[H, W, 3]`` RGB of each frame in its own size, in the order asked: images of one folder may be of several.

    Raises:
        IndexError: the source has no such frame.
        ValueError: a frame does not decode.
    """
    return reader.pictures(frames) if isinstance(reader, ImageFolder) else list(reader.read(frames))
