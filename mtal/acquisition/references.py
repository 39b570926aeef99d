"""With how many frames of the pool all others can be compared."""

from __future__ import annotations

import warnings

from mtal.acquisition.round_warning import RoundWarning

MOST_OF_ALL = 1 << 17
"""Frames that may all be compared with each other where somebody asks for that."""

_PAIRS = 1 << 31
_LEAST = 1024


def affordable(frames: int, most: int, method: str) -> int:
    """``most``, or fewer where that would be more than 2³¹ pairs with all ``frames``, but not below 1024.

    Warns:
        RoundWarning: it is fewer.

    >>> affordable(100_000, 4096, "density")
    4096
    """
    fewer = max(_PAIRS // max(1, frames), _LEAST)
    if fewer >= min(most, frames):
        return most
    warnings.warn(
        f"{method} compares the {frames:,} frames with {fewer:,} drawn from them instead of {most:,}",
        RoundWarning,
        stacklevel=3,
    )
    return fewer


def refuse_all_pairs(frames: int, method: str, option: str) -> None:
    """Refuse to compare all frames with each other where these are too many to be done with in hours.

    Raises:
        ValueError: there are more than :data:`MOST_OF_ALL`.
    """
    if frames > MOST_OF_ALL:
        raise ValueError(
            f"{option}=null of {method} compares all of {frames:,} frames with each other, and more than "
            f"{MOST_OF_ALL:,} take hours to days; give a number of frames, such as {option}=4096"
        )
