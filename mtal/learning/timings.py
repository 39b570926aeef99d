"""How long the stages of a round take."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TIMINGS = "timings.json"


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds of the block to ``timings[stage]``."""
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def read_timings(path: Path) -> dict[str, float]:
    """Seconds of the stages that were written into a folder."""
    timings: dict[str, float] = json.loads((path / TIMINGS).read_text())
    return timings


def write_timings(path: Path, timings: Mapping[str, float]) -> None:
    """Write the seconds of the stages into the folder of a round."""
    (path / TIMINGS).write_text(json.dumps({k: round(v, 3) for k, v in timings.items()}))
