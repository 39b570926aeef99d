"""Chosen frames as pictures that are handed out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.annotation.mask_files import plain
from mtal.frames.protocol import Reader
from mtal.frames.reader import open_reader, read_pictures

_AT_ONCE = 8  # whole pictures in memory
_LONGEST = 200  # bytes of a recording's name in that of a picture, of which file systems take 255


def picture_names(frames: pd.DataFrame) -> list[str]:
    """``001_<video>_<frame>.png`` of each row, in order of choice; of a very long name of a video the end."""
    digits = max(3, len(str(len(frames))))
    places = zip(frames["video"], frames["frame"], strict=True)
    return [f"{i:0{digits}d}_{_end(plain(v))}_{f:06d}.png" for i, (v, f) in enumerate(places, start=1)]


def _end(name: str) -> str:
    return name.encode()[-_LONGEST:].decode(errors="ignore")


def whole_pictures(frames: pd.DataFrame) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Row, from 0, and picture ``[H, W, 3]`` of each frame; every recording is opened once.

    Raises:
        FileNotFoundError: a recording is gone.
        ValueError: a frame cannot be read.
    """
    for reader, some in recordings(frames):
        for start in range(0, len(some), _AT_ONCE):
            part = some.iloc[start : start + _AT_ONCE]
            yield from zip(part.index.tolist(), read_pictures(reader, part["frame"].tolist()), strict=True)


def recordings(frames: pd.DataFrame) -> Iterator[tuple[Reader, pd.DataFrame]]:
    """Each recording of ``source, frame``, open, with its rows in order of ``frame``, which are numbered from 0.

    Raises:
        FileNotFoundError: a recording is gone.
    """
    rows = frames.reset_index(drop=True).sort_values("frame")
    for source, some in rows.groupby("source"):
        with open_reader(str(source), on_truncated="keep") as reader:
            yield reader, some
