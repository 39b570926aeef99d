"""The process in which :mod:`mtal.frames.decoding_process` has videos decoded, started once and used again.

A request is a pickled ``(function, arguments)`` on its input; on its output come ``(kind, value)`` pairs: one when the
request is read, and what it needs imported, any number of heartbeats and log records, then one result or error; the
first of all says that the process is there. It ends with its input, and so with whoever started it.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from logging.handlers import QueueHandler
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mtal.frames.heartbeat import listen
from mtal.frames.protocol import Reader

_EVERY_S = 0.001  # heartbeats are sent no more often, which leaves out frames of tiny videos only

_open: list[Reader] = []  # the reader that this process holds, if any


def open_here(make: Callable[[], Reader]) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[int, int]]:
    """Hold the reader that ``make`` opens; its frames, times and size."""
    reader = make()
    _open[:] = [reader]
    return reader.frames, reader.times_s, reader.frame_size


def read_here(frames: list[int]) -> NDArray[np.uint8]:
    """``[N, H, W, 3]`` of the reader held."""
    return _open[0].read(frames)


def close_here() -> None:
    """Close the reader held, if any."""
    while _open:
        _open.pop().close()


class _Sender(QueueHandler):
    """Sends pairs and log records."""

    def __init__(self, output: BinaryIO) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._output, self._last = output, 0.0

    def send(self, kind: str, value: object) -> None:
        pickle.dump((kind, value), self._output, protocol=pickle.HIGHEST_PROTOCOL)
        self._output.flush()

    def enqueue(self, record: logging.LogRecord) -> None:
        self.send("log", record)

    def beat(self, frame: int) -> None:
        now = time.monotonic()
        if now - self._last > _EVERY_S:
            self._last = now
            self.send("beat", frame)


def main() -> None:
    """Serve requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for whoever waits for the answer
    sender = _Sender(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what libraries print must not get in between
    listen(sender.beat)
    logging.getLogger().addHandler(sender)
    sender.send("result", None)
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - what is asked for is not there in this process
            sender.send("error", _portable(error))
            return  # in the middle of the request
        sender.send("read", None)
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 - it is raised again in the process that asked
            sender.send("error", _portable(error))
        else:
            sender.send("result", result)


def _portable(error: Exception) -> Exception:
    """The error itself if it survives pickling, else one with the same text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001 - whatever an error's constructor may raise
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
