"""Learning curves as SVG that takes its text colour and its font from the page around it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtal.reporting.run_reader import Run, main_metric

# Okabe and Ito's palette (2008): told apart with every common form of colour blindness. The dash and the marker differ
# too, so a curve can be followed without any colour.
STYLES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#E69F00", (0, (5, 1)), "v"),
    ("#56B4E9", (0, (1, 1)), "P"),
)
INK = "#010203"  # stands for the page's text colour until the SVG is put into the page
_MATPLOTLIB_IDS = re.compile(r' id="[A-Za-z0-9.]+_\d+"')


@dataclass(frozen=True)
class Curve:
    """One metric against the number of labelled frames; NaN where it could not be computed."""

    name: str
    labelled: tuple[int, ...]
    values: tuple[float, ...]


def head_curves(run: Run, task: str) -> list[Curve]:
    """The metrics of one head that lie in [0, 1] and are not about a single class, its main metric first."""
    wanted = re.compile(rf"{re.escape(task)}/(?!HD95$)[^/]+")  # HD95 is in pixels
    keys = {key: None for this in run.rounds for key in this.metrics if wanted.fullmatch(key)}
    first = main_metric(task, dict.fromkeys(keys, 0.0))
    ordered = sorted(keys, key=lambda key: key != first)  # stable: the others keep their order
    return [curve(run, key, name=key.removeprefix(f"{task}/")) for key in ordered]


def curve(run: Run, key: str, name: str | None = None) -> Curve:
    """One metric over the rounds of ``run``."""
    return Curve(
        name=key if name is None else name,
        labelled=tuple(this.spent for this in run.rounds),
        values=tuple(this.metrics.get(key, math.nan) for this in run.rounds),
    )


def draw(curves: Sequence[Curve], empty: str = "no value yet") -> Figure:
    """Curves on a common 0-to-1 axis; the first one is drawn strongest and its last value is written beside it."""
    # Names of classes and metrics may hold dollars; texts take this setting when they are made.
    with mpl.rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        drawn = [c for c in curves if any(math.isfinite(v) for v in c.values)]
        for position, this in enumerate(drawn):
            _plot(axes, this, STYLES[position % len(STYLES)], strong=position == 0)
        _dress(axes, curves)
        if not drawn:
            axes.text(0.5, 0.5, empty, transform=axes.transAxes, ha="center", va="center", color=INK)
        elif len(drawn) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=3, frameon=False, labelcolor=INK)
    return figure


def to_svg(figure: Figure, label: str) -> str:
    """The figure as an ``<svg>`` element for inlining in HTML, described by ``label`` for those who cannot see it.

    Text stays text, so it can be searched and scales with the page; nothing in it refers to another file.
    """
    buffer = io.StringIO()
    # A fixed salt instead of a random one: the same run draws the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)  # an HTML parser knows the namespaces
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = _MATPLOTLIB_IDS.sub("", svg)  # figure_1, axes_1, ...: would stand on the page once per figure
    svg = svg.replace(INK, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{_attribute(label)}"', 1)


def describe(curves: Sequence[Curve], title: str) -> str:
    """The main curve in one sentence."""
    known = [(n, v) for c in curves[:1] for n, v in zip(c.labelled, c.values, strict=True) if math.isfinite(v)]
    if not known:
        return f"{title}: no value yet"
    (first, start), (last, end) = known[0], known[-1]
    return (
        f"{title}: {curves[0].name} {start:.2f} with {first} labelled frames"
        if len(known) == 1
        else f"{title}: {curves[0].name} {start:.2f} with {first} labelled frames, {end:.2f} with {last}"
    )


def _plot(axes: Axes, this: Curve, style: tuple[str, object, str], *, strong: bool) -> None:
    """One curve; the strong one has its last value written beside it."""
    color, dash, marker = style
    (line,) = axes.plot(this.labelled, this.values, color=color, linestyle=dash, marker=marker, label=this.name)
    line.set_linewidth(2.4 if strong else 1.2)
    line.set_markersize(5.5 if strong else 3.5)
    if strong:
        known = [(n, v) for n, v in zip(this.labelled, this.values, strict=True) if math.isfinite(v)]
        axes.annotate(
            f"{known[-1][1]:.2f}",
            known[-1],
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            weight="bold",
            color=INK,
            annotation_clip=False,
        )


def _dress(axes: Axes, curves: Sequence[Curve]) -> None:
    labelled = sorted({n for c in curves for n in c.labelled})
    if labelled:
        margin = 0.08 * max(labelled[-1] - labelled[0], 1)
        axes.set_xlim(labelled[0] - margin, labelled[-1] + 2 * margin)
        axes.set_xticks(_thinned(labelled))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("labelled frames", color=INK)
    axes.set_ylabel(curves[0].name if curves else "", color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
        spine.set_alpha(0.4)


def _thinned(labelled: Sequence[int], most: int = 7) -> list[int]:
    """At most about ``most`` of the numbers, evenly strided, so that tick labels do not run into each other."""
    return list(labelled[:: math.ceil(len(labelled) / most)])


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
