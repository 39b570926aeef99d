"""What is wrong with several sources, told at once."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def together(faults: Sequence[Exception], what: str) -> Exception:
    """The only fault itself, or one error of the faults' common type that counts them and holds the first three.

    Args:
        faults: at least one; each names its source.
        what: of what they are, as in ``"videos cannot be read"``.
    """
    if len(faults) == 1:
        return faults[0]
    kinds = {type(fault) for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else ValueError
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return kind(f"{len(faults)} {what}: " + "; ".join(str(fault) for fault in faults[:SHOWN]) + more)
