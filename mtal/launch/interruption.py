"""Ctrl-C and SIGTERM end the program in order: what is half done is taken away, and one line says how to go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType

from rich.console import Console

STANDING: ContextVar[Callable[[], str]] = ContextVar("standing", default=lambda: "the same command begins again")
"""Says where the work stands and how to go on; set by whoever knows."""

_TWICE_S = 1.0
"""Within this time a second signal is the same one: timeout(1) sends one to the process and one to its group."""


class Stopped(BaseException):
    """A signal asks the program to end.

    Not an ``Exception``, which would be told as a fault, and neither of ``KeyboardInterrupt`` and ``SystemExit``, which
    Lightning turns into an end with another exit code.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"

    @property
    def exit_code(self) -> int:
        """As a shell reports a process that a signal has ended: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` in the block when SIGINT or SIGTERM arrives; a second one ends the process at once.

    Handlers that are not Python's own stay, such as those by which a cluster's launcher puts a job back in the queue.
    """
    asked_at: list[float] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            raise Stopped(number)
        if asked_at[-1] - asked_at[0] > _TWICE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    ours = {}
    if threading.current_thread() is threading.main_thread():  # no other may handle signals
        for number, plain in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is plain:
                ours[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, before in ours.items():
            signal.signal(number, before)


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """Run a program: end it with exit code 130 or 143 and one line on standard error where a signal stops it.

    The line ends with what :data:`STANDING` says. No process that was started here is left behind.
    """
    token = STANDING.set(STANDING.get())
    try:
        with stoppable():
            yield
    except Stopped as stopped:
        for process in multiprocessing.active_children():  # one that trains takes no notice of a kinder signal
            assert process.pid is not None
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(process.pid, signal.SIGKILL)  # joblib's processes have no kill() that works
        Console(stderr=True).print(f"{stopped}: {STANDING.get()()}", style="yellow", markup=False, soft_wrap=True)
        raise SystemExit(stopped.exit_code) from None
    finally:
        STANDING.reset(token)
