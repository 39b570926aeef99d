"""Figures fit for a column of a paper: 3.3 inches wide, no letter under 7 points.

Okabe and Ito's palette (2008) throughout, and every difference of colour is one of shape too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mtal.reporting.comparison.comparison import Penalties
from mtal.reporting.comparison.dot_chart import Dot, Key, dot_chart
from mtal.reporting.comparison.figure_style import (
    BASELINE,
    COLUMN,
    GAIN,
    LIGHT,
    LOSS,
    POINTS,
    STYLE,
    dress,
    name_rows,
    short,
)
from mtal.reporting.comparison.label_saving import LabelSaving
from mtal.reporting.comparison.score_comparison import SHARES, ScoreComparison
from mtal.reporting.comparison.setting_comparison import Aggregate, ClassDifference
from mtal.reporting.curves import INK, STYLES

_VERDICTS = {
    "wins": (GAIN, "^"),
    "loses": (LOSS, "v"),
    "undecided": (BASELINE, "o"),
    "not tested": (BASELINE, "o"),
    "baseline": (BASELINE, "o"),
    "bound": (BASELINE, "D"),
}
_DIVERGING = LinearSegmentedColormap.from_list("loss to gain", [LOSS, "#ffffff", GAIN])
_RISING = LinearSegmentedColormap.from_list("none to much", ["#ffffff", GAIN])


def small_multiples(score: ScoreComparison, baseline: str, width: float = COLUMN, columns: int = 3) -> Figure:
    """One panel per strategy with the baseline in grey behind it, the best first."""
    others = [row for row in score.rows if not row.is_baseline]
    rows = max(1, math.ceil(len(others) / columns))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.35 + 1.05 * rows * max(1.0, width / columns / 1.3)), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, row in zip(panels, others, strict=False):
            color, marker = _VERDICTS[row.verdict]
            _curve(axes, score, baseline, BASELINE, "o", dash=(0, (2, 1)))
            _curve(axes, score, row.strategy, INK if color == BASELINE else color, marker, dash="-")
            axes.set_title("\n".join(_lines(row.strategy, round(13 * width / columns))), color=INK, pad=2)
            dress(axes)
        for axes in panels[len(others) :]:
            axes.set_visible(False)
        figure.supxlabel(score.unit, fontsize=POINTS, color=INK)
        figure.supylabel(f"{score.name}", fontsize=POINTS, color=INK)
    return figure


def area_differences(score: ScoreComparison, baseline: str, width: float = COLUMN) -> Figure:
    """Area under the curve minus the baseline's with intervals, ranked; triangles where the test decides."""
    rows = sorted((r for r in score.rows if math.isfinite(r.difference)), key=lambda r: r.difference)
    dots = [Dot(r.difference, r.interval, *_VERDICTS[r.verdict]) for r in rows]
    return dot_chart([r.strategy for r in rows], [dots], f"{score.name}: mean score minus {baseline}'s", width)


def label_savings(score: ScoreComparison, baseline: str, width: float = COLUMN) -> Figure:
    """What is saved as a share of the baseline's frames or minutes, ranked by the higher target.

    A curve that never gets there has a cross and no value; where only the baseline never does there is a lower bound.
    """
    rows = sorted((r for r in score.rows if r.savings), key=lambda r: _rank(r.savings[-1]))
    looks = ((LIGHT, "s"), (GAIN, "o"))
    series = [[_saving(row.savings[at], *look) for row in rows] for at, look in enumerate(looks)]
    gain = "full-pool gain" if score.full_pool else "best seen gain"
    keys = [Key(f"{share:.0%} of {gain}", *look) for share, look in zip(SHARES, looks, strict=True)]
    shown = [s for row in rows for s in row.savings]
    if any(math.isinf(s.needed) for s in shown):
        keys.append(Key("not reached", INK, "x"))
    if any(math.isinf(s.baseline_needed) and math.isfinite(s.needed) for s in shown):
        keys.append(Key(f"at least: {baseline} not there", INK, ">"))
    unit = "frames" if "frames" in score.unit else "minutes"
    label = f"{score.name}: {unit} saved against {baseline}, %"
    return dot_chart([r.strategy for r in rows], series, label, width, keys, bounds=(-100.0, 100.0))


def interquartile_means(
    aggregates: Sequence[Aggregate], baseline: str, width: float = COLUMN, *, full_pool: bool = True
) -> Figure:
    """Interquartile mean over runs and heads with intervals, ranked; shares of the full pool, or of the best seen."""
    ranked = aggregates[::-1]
    dots = [Dot(a.value, a.interval, BASELINE if a.strategy == baseline else GAIN, "o") for a in ranked]
    label = f"interquartile mean, share of {'full-pool' if full_pool else 'best seen'} score"
    return dot_chart([a.strategy for a in ranked], [dots], label, width, zero=None)


def penalties(found: Penalties, width: float = COLUMN) -> Figure:
    """Row beats column; the last row says how often each strategy is beaten on average; empty where two never met."""
    table = np.concatenate([found.matrix, found.beaten[None]])  # [M + 1, M]
    return _matrix(
        table,
        [*found.strategies, "mean of column"],
        found.strategies,
        _RISING,
        (0.0, 1.0),
        f"{found.score}: how often the row beats the column",
        width,
        lambda v: f"{v:.2f}".lstrip("0") if v > 0 else "",
    )


def class_differences(classes: Sequence[ClassDifference], baseline: str, width: float = COLUMN) -> Figure:
    """Area under the curve of each class minus the baseline's, in hundredths; rare classes are starred."""
    others = [c for c in classes if c.strategy != baseline]
    names = list({(c.task, c.name): f"{'* ' if c.rare else ''}{c.task}: {c.name}" for c in others}.items())
    strategies = list(dict.fromkeys(c.strategy for c in others))
    value = {(c.strategy, (c.task, c.name)): c.difference for c in others}
    table = np.array([[value.get((s, key), np.nan) for key, _ in names] for s in strategies])
    most = float(np.nanmax(np.abs(table), initial=0.01))
    label = f"score of each class minus {baseline}'s, in hundredths (* rare)"
    return _matrix(
        table,
        strategies,
        [name for _, name in names],
        _DIVERGING,
        (-most, most),
        label,
        width,
        lambda v: (f"{round(100 * v):+d}".replace("-", "−") if round(100 * v) else "0") if math.isfinite(v) else "",
    )


def driving(shares: Mapping[str, Mapping[str, float]], width: float = COLUMN) -> Figure:
    """Share of the picks for which each head spoke loudest."""
    strategies = list(shares)[::-1]
    heads = list({head: None for of in shares.values() for head in of})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.75 + 0.17 * len(strategies)), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(strategies))
        for head, (color, _, _), hatch in zip(
            heads, STYLES * 9, ("", "///", "...", "xxx", "\\\\\\", "+++") * 9, strict=False
        ):
            part = np.array([100 * shares[s].get(head, 0.0) for s in strategies])
            axes.barh(
                strategies, part, left=left, color=color, hatch=hatch, edgecolor="white", linewidth=0.3, label=head
            )
            left += part
        axes.set_xlim(0, 100)
        figure.supxlabel("share of the picks driven by each head, %", fontsize=POINTS, color=INK)
        name_rows(axes, strategies)
        dress(axes)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, labelcolor=INK)
    return figure


def _matrix(
    table: npt.NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    colors: LinearSegmentedColormap,
    limits: tuple[float, float],
    label: str,
    width: float,
    words: Callable[[float], str],
) -> Figure:
    with mpl.rc_context(STYLE):
        # names of columns stand upright, and need their room above however few rows there are
        named = 0.06 * max(len(short(c)) for c in columns)
        figure = Figure(figsize=(width, max(1.3, 0.5 + named) + 0.16 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.imshow(table, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
        axes.set_xticks(range(len(columns)), [short(c) for c in columns], rotation=90, color=INK)
        axes.set_yticks(range(len(rows)), [short(r) for r in rows], color=INK)
        axes.tick_params(length=0, colors=INK)
        axes.set_title(label, color=INK, loc="right")
        room = width * 0.6 / max(len(columns), 1) > 0.17  # a cell that holds a number of three signs at 7 points
        for (i, j), value in np.ndenumerate(table):
            if room and (text := words(float(value))):
                dark = value > 0.85 * limits[1]
                axes.text(j, i, text, ha="center", va="center", color="white" if dark else "#111111")
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _curve(axes: Axes, score: ScoreComparison, strategy: str, color: str, marker: str, dash: Any) -> None:
    low, high = score.bands[strategy]
    axes.plot(
        score.axis,
        score.curves[strategy].mean,
        color=color,
        marker=marker,
        linestyle=dash,
        markersize=2,
        markevery=max(1, len(score.axis) // 6),
    )
    if np.isfinite(low).all():
        axes.fill_between(score.axis, low, high, color=color, alpha=0.2, linewidth=0)


def _lines(name: str, width: int, most: int = 3) -> list[str]:
    lines = [line.replace("_ ", "_") for line in textwrap.wrap(name.replace("_", "_ "), width)]
    return lines if len(lines) <= most else [*lines[: most - 1], short(" ".join(lines[most - 1 :]), width)]


def _saving(this: LabelSaving, color: str, marker: str) -> Dot:
    if math.isinf(this.baseline_needed) and math.isfinite(this.needed):
        return Dot(100 * (1 - this.needed / this.end), (math.nan, math.nan), color, ">")
    low, high = this.share_interval
    return Dot(100 * this.share, (100 * low, 100 * high), color, marker)


def _rank(this: LabelSaving) -> float:
    """Not reached last; a lower bound where it stands."""
    if math.isinf(this.needed):
        return -math.inf
    return 1 - this.needed / this.end if math.isinf(this.baseline_needed) else this.share
