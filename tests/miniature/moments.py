"""A process that ends between two of its effects on the rest of the world: files, folders, calls to a server."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

PHASES = {"choose": "picking", "ask": "asking", "collect": "collecting", "_round": "training"}
"""Function of the loop or of an oracle → what a start is at while it is in there, the innermost first."""
_EFFECTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "http.client.send"}
_WRITES = os.O_WRONLY | os.O_RDWR


def die(phase: str, number: int) -> None:
    """Have this process killed before an effect of a phase, or where it has fewer before the first after it.

    What a process computes is lost with it, so that to be killed between two effects is to be killed before the second.

    Args:
        phase: one of :data:`PHASES`.
        number: of the effect, from 1.
    """
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in _EFFECTS and not (event == "open" and _writes(arguments)):
            return
        here = _phase() == phase
        seen += here
        if seen == number or (seen and not here):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITES)


def _phase() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name in PHASES and "/mtal/" in frame.f_code.co_filename:
            return PHASES[frame.f_code.co_name]
        frame = frame.f_back
    return ""
