"""Frames of one size in a file that is either whole or counts as not there."""

from __future__ import annotations

import errno
import io
import math
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtal.whole_files import whole_stream


@dataclass(frozen=True)
class FramesFile:
    """An ``.npy`` array ``[M, H, W, 3]`` of uint8 and an end mark.

    A file that was cut short has the wrong size. One whose last blocks were lost (a power cut, a copy broken off) may
    have the right one, so the end mark holds a checksum of the last frame: blocks reach the disk about in order, and
    reading one frame costs next to nothing where a checksum of the whole would cost a second pass over the cache.

    The file is open only while it is read. Thousands of recordings would pass the limit of open files, and where a file
    is cut short under a memory map the process dies.

    Args:
        path: the file.
        shape: (M, H, W, 3).
    """

    path: Path
    shape: tuple[int, int, int, int]

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return len(self._header) + math.prod(self.shape) + len(_end_mark(b""))

    def read(self, places: Iterable[int], into: Iterable[NDArray[np.uint8]]) -> None:
        """Copy the frames at ``places`` into as many arrays ``[H, W, 3]``.

        Raises:
            OSError: the file cannot be read, or is no longer whole.
        """
        start, size = len(self._header), math.prod(self.shape[1:])
        with self.path.open("rb", buffering=0) as file:
            for place, frame in zip(places, into, strict=True):
                if os.preadv(file.fileno(), [frame.data], start + place * size) != size:
                    raise OSError(errno.EIO, f"{self.path}: it has been cut short; start again to decode it anew")

    def is_whole(self) -> bool:
        """Whether the file is there as it was written.

        Raises:
            OSError: that cannot be told, as where too many files are open.
        """
        size = math.prod(self.shape[1:])
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != self.size_bytes or file.read(len(self._header)) != self._header:
                    return False
                file.seek(-size - len(_end_mark(b"")), os.SEEK_END)
                return _end_mark(file.read(size)) == file.read()
        except FileNotFoundError:
            return False

    def write(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        """Write batches ``[n, H, W, 3]`` one after the other and give the file its name when all are on the disk.

        Whoever calls has made sure to be the only writer. An error, of ``frames`` too, leaves no file behind.

        Raises:
            OSError: the file cannot be written; the message names it and the reason.
        """
        last = np.empty(0, dtype=np.uint8)
        with whole_stream(self.path) as append:
            append(self._header)
            for pictures in frames:
                last = np.ascontiguousarray(pictures[-1])  # [H, W, 3]
                append(np.ascontiguousarray(pictures).data)
            append(_end_mark(last.data))

    @property
    def _header(self) -> bytes:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": self.shape})
        return header.getvalue()


def _end_mark(last: bytes | memoryview) -> bytes:
    return b"end " + zlib.crc32(last).to_bytes(4, "big")
