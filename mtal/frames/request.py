"""Checks what is asked of a reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def positions(source: str, available: NDArray[np.int64], asked: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the frames asked among those available (ascending), in the order asked.

    Raises:
        IndexError: frames are not there; names the source and the first three of them.
    """
    wanted = np.asarray(asked, dtype=np.int64).reshape(-1)  # [N]
    found = np.searchsorted(available, wanted)  # [N]
    there = found < len(available)
    there[there] = available[found[there]] == wanted[there]
    if not there.all():
        extent = f"frames run from {available[0]} to {available[-1]}" if len(available) else "it has no frames"
        lost = np.unique(wanted[~there])
        first = ", ".join(map(str, lost[:3].tolist()))
        what = f"there is no frame {first}" if len(lost) == 1 else f"{len(lost)} frames are not there, first {first}"
        raise IndexError(f"{source}: {what}; {extent} ({len(available)} of them)")
    return found
