"""The other end of :mod:`mtal.frames.worker`: a process that can be ended when a decoder in it hangs or crashes."""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

LIMIT_S = 60.0
"""Seconds without a new frame after which a decoder counts as hung."""

_CRASHES = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}
"""Signals by which a decoder ends its own process."""
_told: set[str] = set()  # warnings that were passed on
_idle: list[DecodingProcess] = []
_PIPE_BYTES = 2**20
"""Room for about one picture, so that neither side waits for the other in the middle of it."""


class DecodingProcess:
    """A process that runs :func:`mtal.frames.worker.main`.

    Raises:
        RuntimeError: it does not start, for which no video is to blame.
    """

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
            kind, _ = self._replies.get(timeout=LIMIT_S)
        except queue.Empty:
            self.end()
            raise RuntimeError(
                f"a process that decodes videos has not started within {LIMIT_S:g} s; try again when the machine has "
                "less to do"
            ) from None
        except BaseException:
            self.end()
            raise
        if kind == "end":
            self.end()
            raise RuntimeError("a process that decodes videos cannot start; what it printed above says why")

    @property
    def exit_code(self) -> int | None:
        """Of the process; minus the signal that ended it, ``None`` while it runs."""
        return self._process.poll()

    @property
    def ended_by_others(self) -> str:
        """By which signal, and who may have sent it; ``""`` where it runs, or whatever ended it came from within."""
        code = self.exit_code or 0
        name = signal.Signals(-code).name if code < 0 else ""
        if not name or name in _CRASHES:
            return ""
        return f"{name}, as {'where memory runs out' if name == 'SIGKILL' else 'a scheduler does'}"

    def ask(self, request: tuple[Callable[..., Any], tuple[object, ...]], limit_s: float) -> tuple[str, Any]:
        """``("result", value)`` or ``("error", error)``. The process is ended where there is neither.

        Raises:
            queue.Empty: nothing came for ``limit_s``, once the request was read.
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
        patience_s = LIMIT_S  # imports are not decoding
        while True:
            kind, value = self._replies.get(timeout=patience_s)
            if kind == "read":
                patience_s = limit_s
            elif kind == "beat":
                self.progress = f" after frame {value}"
            elif kind == "log":
                _pass_on(value)
            elif kind == "end":
                raise EOFError
            else:
                return kind, value

    def end(self) -> None:
        """End it, whatever it is doing."""
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


def free_process() -> DecodingProcess:
    """One that waits for work, or a new one; :func:`put_back` it, or :meth:`~DecodingProcess.end` it."""
    while True:
        try:
            worker = _idle.pop()
        except IndexError:  # asked for rather than looked for: another thread may take the last one in between
            return DecodingProcess()
        if worker.owner == os.getpid() and worker.exit_code is None:  # not that of the process this one is forked from
            return worker


def put_back(process: DecodingProcess) -> None:
    """Let another use it, now that it has nothing more to do."""
    _idle.append(process)


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
