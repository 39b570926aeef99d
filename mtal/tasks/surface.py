"""How near the outlines of what a head says lie to those of the labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, find_objects

Region = NDArray[np.bool_]
"""``[H, W]``."""


def surface_dice(said: Region, truth: Region, tolerance: float) -> float:
    """Normalised surface Dice: the part of both outlines that lies within ``tolerance`` pixels of the other, in [0, 1].

    Nikolov et al., arXiv 1809.04430, with an outline's length counted in pixels: those of the region that have one of
    their four neighbours outside of it, or lie at the rim of the picture. It is 0 where one of the regions is empty and
    NaN where both are.

    >>> there = np.zeros((4, 9), dtype=bool)
    >>> there[:, :5] = True
    >>> surface_dice(np.roll(there, 1, axis=1), there, tolerance=1.0)
    1.0
    """
    either = said | truth
    if not either.any():
        return math.nan
    if not (said.any() and truth.any()):
        return 0.0
    (box,) = find_objects(either.astype(np.uint8))  # the rest of the picture tells nothing
    outlines = [_outline(region[box]) for region in (said, truth)]
    near = [
        np.count_nonzero(distance_transform_edt(~other)[this] <= tolerance)
        for this, other in (outlines, outlines[::-1])
    ]
    return sum(near) / sum(np.count_nonzero(outline) for outline in outlines)


def _outline(region: Region) -> Region:
    return np.asarray(region & ~binary_erosion(region))
