"""How many cores there are to use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Those that this process may run on, which a scheduler may have made fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
