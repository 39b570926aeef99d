"""What all figures share: sizes, colours and axes fit for a column of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from mtal.reporting.curves import INK

COLUMN = 3.3
"""Width of a paper's column, inches."""

POINTS = 7
"""Size of all letters."""

BASELINE = "#8a8f98"
GAIN, LOSS, LIGHT = "#0072B2", "#D55E00", "#56B4E9"
"""Blue, vermilion and sky blue of Okabe and Ito's palette (2008): told apart with every common colour blindness."""

STYLE: dict[Any, Any] = {
    "font.size": POINTS,
    "axes.titlesize": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "lines.linewidth": 1.2,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # names may hold dollars
}


def dress(axes: Axes) -> None:
    """Two quiet spines in the colour of the text."""
    axes.tick_params(colors=INK, length=2)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
        spine.set_alpha(0.5)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, from below."""
    axes.set_yticks(range(len(names)), [short(n) for n in names], color=INK)


def short(name: str, most: int = 30) -> str:
    """``name``, cut where it would leave no room for the figure."""
    return name if len(name) <= most else name[: most - 1] + "…"
