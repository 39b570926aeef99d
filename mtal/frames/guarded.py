"""Decoding where it can be ended: a decoder that hangs or crashes costs one error, not the run.

Damaged files make decoders spin for ever, decord while it holds the interpreter's lock, and even crash. So videos are
decoded in a process of their own, which tells how far it has come.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtal.frames.protocol import Reader
from mtal.frames.request import positions
from mtal.frames.worker import close_here, open_here, read_here

T = TypeVar("T")

LIMIT_S = 60.0
"""Seconds without a new frame after which a decoder counts as hung."""

_told: set[str] = set()  # warnings that were passed on
_idle: list[_Worker] = []


class GuardedReader:
    """A reader whose work is done in another process; see :class:`mtal.frames.protocol.Reader`.

    Args:
        source: the video file.
        make: opens the reader; it is called in the other process, so it must pickle.
        limit_s: seconds without a new frame (or packet, while opening) after which the process is ended.

    Raises:
        TimeoutError: the time limit has passed; names the file and the frame.
        ValueError: the process crashed, or the reader raised it; errors of the reader keep their type and message.
    """

    def __init__(self, source: Path, make: Callable[[], Reader], limit_s: float = LIMIT_S) -> None:
        if not limit_s > 0:
            raise ValueError(f"{source}: the time limit must be a positive number of seconds, not {limit_s}")
        self.source = source
        self._make, self._limit_s = make, limit_s
        self._worker: _Worker | None = None
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
            _idle.append(self._worker)
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
        worker, self._worker = self._worker or _free_worker(), None
        try:
            kind, value = worker.ask((function, arguments), self._limit_s)
        except queue.Empty:
            raise TimeoutError(
                f"{self.source}: {doing} got stuck{worker.progress}, with nothing new for {self._limit_s:g} s, and was "
                "ended; re-encode the file, or move it to a faster disk"
            ) from None
        except (EOFError, BrokenPipeError):
            raise ValueError(
                f"{self.source}: {doing} crashed{worker.progress} (exit code {worker.exit_code}); re-encode the file"
            ) from None
        self._worker = worker
        if kind == "error":
            raise value
        result: T = value
        return result


_PIPE_BYTES = 2**20
"""Room for about one picture, so that neither side waits for the other in the middle of it."""


class _Worker:
    """A process that runs :func:`mtal.frames.worker.main`."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.progress = ""  # how far the last request has come
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from mtal.frames.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE_BYTES,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._replies: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name="decoding", daemon=True).start()
        try:
            self._replies.get(timeout=LIMIT_S)  # imports are not decoding
        except BaseException:
            self.end()
            raise

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def ask(self, request: tuple[Callable[..., Any], tuple[object, ...]], limit_s: float) -> tuple[str, Any]:
        """``("result", value)`` or ``("error", error)``. The process is ended where there is neither.

        Raises:
            queue.Empty: nothing came for ``limit_s``.
            EOFError, BrokenPipeError: the process is gone.
        """
        try:
            return self._ask(request, limit_s)
        except BaseException:
            self.end()
            raise

    def _ask(self, request: tuple[Callable[..., Any], tuple[object, ...]], limit_s: float) -> tuple[str, Any]:
        self.progress = ""
        assert self._process.stdin is not None
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        while True:
            kind, value = self._replies.get(timeout=limit_s)
            if kind == "beat":
                self.progress = f" after frame {value}"
            elif kind == "log":
                _pass_on(value)
            elif kind == "end":
                raise EOFError
            else:
                return kind, value

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            return  # a request was still to be written

    def _receive(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            while True:
                try:
                    reply = pickle.load(replies)  # noqa: S301 - from the process started here
                except (EOFError, pickle.UnpicklingError):  # it is gone, perhaps in the middle of a reply
                    self._replies.put(("end", None))
                    return
                self._replies.put(reply)


def _free_worker() -> _Worker:
    while _idle:
        worker = _idle.pop()
        if worker.owner == os.getpid() and worker.exit_code is None:  # not that of the process this one is forked from
            return worker
    return _Worker()


@atexit.register
def end_idle() -> None:
    """End the processes that wait for another video."""
    while _idle:
        worker = _idle.pop()
        if worker.owner == os.getpid():
            worker.end()


def _pass_on(record: logging.LogRecord) -> None:
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno) and record.getMessage() not in _told:
        _told.add(record.getMessage())
        logger.handle(record)
