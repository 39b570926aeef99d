"""Decoding where it can be ended: a decoder that hangs or crashes costs one error, not the run.

Damaged files make decoders spin for ever, decord while it holds the interpreter's lock, and even crash. So videos are
decoded in a process of their own, which tells how far it has come.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtal.frames.decoding_process import LIMIT_S, DecodingProcess, free_process, put_back
from mtal.frames.protocol import Reader
from mtal.frames.request import positions
from mtal.frames.worker import close_here, open_here, read_here

T = TypeVar("T")


class GuardedReader:
    """A reader whose work is done in another process; see :class:`mtal.frames.protocol.Reader`.

    Args:
        source: the video file.
        make: opens the reader; it is called in the other process, so it must pickle.
        limit_s: seconds without a new frame (or packet, while opening) after which the process is ended.

    Raises:
        RuntimeError: others have ended the process, as a system does that runs out of memory.
        TimeoutError: the time limit has passed; names the file and the frame.
        ValueError: the process crashed, or the reader raised it; errors of the reader keep their type and message.
    """

    def __init__(self, source: Path, make: Callable[[], Reader], limit_s: float = LIMIT_S) -> None:
        if not limit_s > 0:
            raise ValueError(f"{source}: the time limit must be a positive number of seconds, not {limit_s}")
        self.source = source
        self._make, self._limit_s = make, limit_s
        self._worker: DecodingProcess | None = None
        self.frames: NDArray[np.int64]
        self.times_s: NDArray[np.float64]
        self.frame_size: tuple[int, int]
        self.frames, self.times_s, self.frame_size = self._begin()

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames in the order asked; repeats are allowed.

        Raises:
            IndexError: the video has no such frame.
            TimeoutError: the decoder hangs.
            ValueError: a frame does not decode.
        """
        wanted = [int(k) for k in frames]
        if not wanted:
            return np.empty((0, *self.frame_size, 3), dtype=np.uint8)
        positions(str(self.source), self.frames, wanted)
        if self._worker is None:
            self._begin()
        pictures: NDArray[np.uint8] = self._ask(f"reading frames {min(wanted)} to {max(wanted)}", read_here, wanted)
        return pictures

    def close(self) -> None:
        """Let go of the file. Reading opens it again."""
        if self._worker is not None:
            self._ask("closing it", close_here)
            put_back(self._worker)
            self._worker = None

    def __enter__(self) -> GuardedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[int, int]]:
        try:
            return self._ask("opening it", open_here, self._make)
        except Exception:
            self.close()
            raise

    def _ask(self, doing: str, function: Callable[..., T], *arguments: object) -> T:
        worker, self._worker = self._worker or free_process(), None
        try:
            kind, value = worker.ask((function, arguments), self._limit_s)
        except queue.Empty:
            raise TimeoutError(
                f"{self.source}: {doing} got stuck{worker.progress}, with nothing new for {self._limit_s:g} s, and was "
                "ended; re-encode the file, or move it to a faster disk"
            ) from None
        except (EOFError, BrokenPipeError):
            if worker.ended_by_others:
                raise RuntimeError(f"{self.source}: {doing} was ended by others ({worker.ended_by_others})") from None
            raise ValueError(
                f"{self.source}: {doing} crashed{worker.progress} (exit code {worker.exit_code}); re-encode the file"
            ) from None
        self._worker = worker
        if kind == "error":
            raise value
        result: T = value
        return result
