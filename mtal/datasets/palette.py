"""Colours for classes that come without."""

from __future__ import annotations

import colorsys

PALETTE = (
    *((230, 159, 0), (0, 158, 115), (0, 114, 178), (204, 121, 167), (86, 180, 233), (240, 228, 66), (213, 94, 0)),
    *((120, 94, 240), (170, 255, 0), (0, 255, 230), (255, 160, 165), (111, 74, 0), (127, 127, 127), (231, 70, 156)),
    *((0, 50, 128), (200, 80, 255), (186, 183, 75), (255, 85, 0), (90, 130, 60)),
)
"""Without white, which says in masks that nobody annotated a pixel."""
_GOLDEN = 0.618033988749895  # of the circle of hues: multiples of it never come close to each other soon


def colors_of(count: int) -> tuple[tuple[int, int, int], ...]:
    """``count`` distinct colours: those of :data:`PALETTE`, then hues in turn at three brightnesses.

    >>> len(set(colors_of(150)))
    150
    """
    found = dict.fromkeys(PALETTE[:count])
    k = 0
    while len(found) < count:
        red, green, blue = colorsys.hsv_to_rgb(k * _GOLDEN % 1, 0.75, (0.95, 0.7, 0.5)[k % 3])
        found[round(255 * red), round(255 * green), round(255 * blue)] = None
        k += 1
    return tuple(found)
