"""What a benchmark's time is told by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Seconds(NamedTuple):
    """On the wall, and of the processors, which other work on the machine moves less."""

    wall: float
    processor: float


Clock = Callable[[dict[str, Callable[[], object]], int], dict[str, Seconds]]
"""Median seconds of each of several jobs, which take turns so many times."""
