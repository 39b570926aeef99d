"""Values with intervals, one row per name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtal.reporting.comparison.figure_style import POINTS, STYLE, dress, name_rows
from mtal.reporting.curves import INK


@dataclass(frozen=True)
class Dot:
    """One value of one row.

    Args:
        value: NaN or ±inf draws a cross at the left edge: there is no value.
        interval: an end that is ±inf is drawn as a dotted line to the edge, NaN not at all.
        color: of the marker and of the interval.
        marker: one that matplotlib knows.
    """

    value: float
    interval: tuple[float, float]
    color: str
    marker: str


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    words: str
    color: str
    marker: str


def dot_chart(
    names: Sequence[str],
    series: Sequence[Sequence[Dot]],
    label: str,
    width: float,
    legend: Sequence[Key] = (),
    bounds: tuple[float, float] = (-math.inf, math.inf),
    zero: float | None = 0.0,
) -> Figure:
    """Rows from below, several dots in a row one above the other.

    Args:
        names: of the N rows.
        series: each N dots.
        label: of the axis of values.
        width: inches.
        legend: what colours and markers mean.
        bounds: what lies beyond is drawn at the edge.
        zero: where a line is drawn that means no difference.
    """
    rows = max(len(names), 1)
    row_height = 0.17 + 0.07 * (len(series) - 1)
    with mpl.rc_context(STYLE):
        height = 0.45 + 0.14 * math.ceil(len(legend) / 2) + row_height * rows
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        edges = _edges([dot for dots in series for dot in dots], bounds, zero)
        for at, dots in enumerate(series):
            offset = 0.36 * (at / (len(series) - 1) - 0.5) if len(series) > 1 else 0.0
            for y, dot in enumerate(dots):
                _draw(axes, dot, y + offset, edges)
        axes.set_xlim(*edges)
        axes.set_ylim(-0.7, rows - 0.3)
        if zero is not None:
            axes.axvline(zero, color=INK, linewidth=0.6, alpha=0.6, zorder=0)
        figure.supxlabel(label, fontsize=POINTS, color=INK)  # may be wider than the axes
        name_rows(axes, names)
        dress(axes)
        axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.5)
        for key in legend:
            axes.plot([], [], color=key.color, marker=key.marker, markersize=3.2, linestyle="none", label=key.words)
        if legend:
            figure.legend(loc="outside upper center", ncols=2, frameon=False, labelcolor=INK, handletextpad=0.2)
    return figure


def _edges(dots: Sequence[Dot], bounds: tuple[float, float], zero: float | None) -> tuple[float, float]:
    """All finite values and ends, with some room around them."""
    values = [v for dot in dots for v in (dot.value, *dot.interval) if math.isfinite(v)]
    values = list(np.clip([*values, *([] if zero is None else [zero])], *bounds)) or [0.0, 1.0]
    room = 0.06 * (max(values) - min(values)) or 0.05
    return float(min(values) - room), float(max(values) + room)


def _draw(axes: Axes, dot: Dot, y: float, edges: tuple[float, float]) -> None:
    left, right = edges
    if not math.isfinite(dot.value):
        axes.plot([left], [y], color=dot.color, marker="x", markersize=3.6, linestyle="none", clip_on=False)
        return
    value = float(np.clip(dot.value, left, right))
    low, high = dot.interval
    if not (math.isnan(low) or math.isnan(high)):
        for end, edge in ((low, left), (high, right)):
            dash = "-" if math.isfinite(end) else (0, (1, 1.5))
            to = float(np.clip(end, left, right)) if math.isfinite(end) else edge
            axes.plot([value, to], [y, y], color=dot.color, linewidth=1.0, linestyle=dash)
    axes.plot([value], [y], color=dot.color, marker=dot.marker, markersize=3.2, linestyle="none", clip_on=False)
