"""How near the outlines of what a head says lie to those of the labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, find_objects

Region = NDArray[np.bool_]
"""``[H, W]``."""
Distances = NDArray[np.float64]
"""``[n]`` pixels."""


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
    if not (said.any() and truth.any()):
        return 0.0 if (said | truth).any() else math.nan
    both = np.concatenate(_apart(said, truth))
    return np.count_nonzero(both <= tolerance) / len(both)


def hausdorff_95(said: Region, truth: Region) -> float:
    """95th percentile of the distances of each outline to the other, in pixels; the larger of both.

    Huttenlocher et al., TPAMI 1993, with outlines as :func:`surface_dice` has them. Where one of the regions is empty
    it is the picture's diagonal, since nothing can be further off, and NaN where both are.

    >>> there = np.zeros((4, 9), dtype=bool)
    >>> there[:, :5] = True
    >>> hausdorff_95(np.roll(there, 2, axis=1), there)
    2.0
    """
    if not (said.any() and truth.any()):
        return math.hypot(*said.shape) if (said | truth).any() else math.nan
    return max(float(np.percentile(some, 95)) for some in _apart(said, truth))


def _apart(said: Region, truth: Region) -> tuple[Distances, Distances]:
    """From each pixel of an outline to the nearest of the other one."""
    (box,) = find_objects((said | truth).astype(np.uint8))  # the rest of the picture tells nothing
    ours, theirs = (_outline(region[box]) for region in (said, truth))
    return distance_transform_edt(~theirs)[ours], distance_transform_edt(~ours)[theirs]


def _outline(region: Region) -> Region:
    return np.asarray(region & ~binary_erosion(region))
