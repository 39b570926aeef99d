"""An order for frames of equal utility that no file, dictionary or video order can bend."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt


def tie_break(seed: int, frame_ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """blake2b(seed, frame_id): one number per frame, the same on every machine and for every order of the frames.

    Frames are ordered by (−utility, this number).

    >>> a, b = tie_break(0, ["video01/000025", "video01/000050"]).tolist()
    >>> a != b and tie_break(0, ["video01/000025"]).tolist() == [a]
    True
    """
    digests = (blake2b(f"{seed}\0{frame_id}".encode(), digest_size=8).digest() for frame_id in frame_ids)
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)


def largest(values: npt.NDArray[np.float64], allowed: npt.NDArray[np.bool_], hashes: npt.NDArray[np.uint64]) -> int:
    """Position of the largest of the allowed values, the smallest hash first among equals.

    Args:
        values: ``[N]``; what is not allowed is not looked at and may be NaN.
        allowed: ``[N]`` bool, at least one true.
        hashes: ``[N]`` from :func:`tie_break`.

    >>> largest(np.array([2.0, 5.0, 5.0]), np.array([True, True, True]), np.array([7, 9, 8], dtype=np.uint64))
    2
    """
    positions = np.flatnonzero(allowed)
    among = values[positions]
    best = positions[among == among.max()]
    return int(best[np.argmin(hashes[best])])
