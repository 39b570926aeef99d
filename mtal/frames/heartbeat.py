"""A decoder tells whoever watches it that it goes on."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[int], None]] = []


def listen(listener: Callable[[int], None]) -> None:
    """Call ``listener`` with the number of every frame that is read or decoded in this process from now on."""
    _listeners.append(listener)


def beat(frame: int) -> None:
    """Say that the work has come to ``frame``."""
    for listener in _listeners:
        listener(frame)
