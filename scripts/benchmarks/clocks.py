"""What a benchmark's time is told by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Seconds(NamedTuple):
    """On the wall, and of the processors, which other work on the machine moves less."""

    wall: float
    processor: float


class Clock(Protocol):
    """Median seconds of each of several jobs, which take turns so many times, fewer once ``patience`` is over."""

    def __call__(
        self, measured: dict[str, Callable[[], object]], repeats: int, patience: float = ...
    ) -> dict[str, Seconds]:
        """Measure."""
