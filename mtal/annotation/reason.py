"""Why a frame was chosen, as people who label it are told."""

from collections.abc import Mapping
from typing import Any


def reason(pick: Mapping[Any, Any]) -> str:
    """What made the selector choose a frame, in words.

    Args:
        pick: a row of ``picks.parquet``.

    >>> scores = {"reason_task": "tools", "reason_signal": "bald", "reason_percentile": 97.0}
    >>> reason({**scores, "reason_because": "chance"})
    'tools: bald higher than in 97 % of the frames, and chance'
    """
    because: str = pick["reason_because"]
    if not isinstance(pick["reason_task"], str):  # NaN where it was read from a file with reasons of other picks
        return because or "picked without scores"
    signal, percentile = pick["reason_signal"].replace("_", " "), int(pick["reason_percentile"])
    more = "in any other frame" if percentile == 100 else f"in {percentile} % of the frames"
    return f"{pick['reason_task']}: {signal} higher than {more}" + (f", and {because}" if because else "")
