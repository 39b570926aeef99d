"""How far the annotators are, as the run folder has it while it waits for them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = "waiting.json"


@dataclass(frozen=True)
class Progress:
    """What annotators owe.

    Args:
        title: what they were asked for.
        frames: that were asked for.
        done: those of which no head is owed.
        owed: head → frames of which it is owed.
        by: annotator → frames answered.
        seconds: that the rest will take; NaN where nobody knows.
        where: the answers go.
        time: when this was so, in ISO 8601.
    """

    title: str
    frames: int
    done: int
    owed: Mapping[str, int]
    by: Mapping[str, int]
    seconds: float
    where: str
    time: str


def read_progress(path: Path) -> Progress | None:
    """What the run in folder ``path`` waits for; ``None`` where it waits for nothing."""
    try:
        told = json.loads((path / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Progress(**{**told, "seconds": math.nan if told["seconds"] is None else told["seconds"]})
