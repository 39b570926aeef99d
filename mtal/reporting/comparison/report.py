"""``comparison.html`` with its figures and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mtal.reporting.comparison import figures, wording
from mtal.reporting.comparison.comparison import Comparison, Penalties
from mtal.reporting.comparison.score_comparison import SHARES, ScoreComparison
from mtal.reporting.comparison.setting_comparison import SettingComparison
from mtal.reporting.comparison.tables import head_rows, joint_rows, prefix_of, slugs, write_tables
from mtal.reporting.curves import to_svg
from mtal.reporting.page import environment
from mtal.whole_files import whole_or_not

PAGE = 4.6
"""Inches of a chart on the page, which has room for two side by side."""


def write_comparison(comparison: Comparison, folder: Path | str) -> Path:
    """Write ``comparison.html``, ``figures/*.{png,svg}`` and ``tables/*.{csv,tex}`` to ``folder``.

    Returns:
        The path of the page, which needs none of the other files.
    """
    folder = Path(folder)
    for part in ("figures", "tables"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_tables(comparison, folder / "tables")
    for name, figure in paper_figures(comparison):
        figure.savefig(folder / "figures" / f"{name}.svg")
        figure.set_layout_engine("none")  # it is laid out, which takes most of the time
        write_picture(figure, folder / "figures" / f"{name}.png")
    target = folder / "comparison.html"
    with whole_or_not(target, "have it written elsewhere by --out", several=True) as unfinished:
        unfinished.write_text(render(comparison), encoding="utf-8")
    return target


def write_picture(figure: Figure, file: Path) -> None:
    """A PNG at the resolution of print."""
    figure.savefig(file, dpi=400)


def paper_figures(comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every figure at the width of a column."""
    for setting in comparison.settings:
        prefix = prefix_of(setting, comparison)
        for name, figure in _figures(setting, figures.COLUMN, figures.COLUMN, columns=3):
            yield prefix + name, figure
    named = slugs(found.score for found in comparison.penalties)
    for found in comparison.penalties:
        yield f"penalties_{named[found.score]}", figures.penalties(found)


def render(comparison: Comparison) -> str:
    """The page as a string."""
    pages = environment()
    pages.filters.update(number=wording.number, signed=wording.signed, percent=_percent)
    return pages.get_template("comparison.html.j2").render(
        settings=[_page_of(setting) for setting in comparison.settings],
        penalties=[_penalties(found) for found in comparison.penalties],
        left_out=comparison.left_out,
        runs=sum(len(seeds) for s in comparison.run_paths.values() for seeds in s.values()),
        shares=SHARES,
        data=_json([_data(setting) for setting in comparison.settings]),
    )


def _figures(
    setting: SettingComparison, width: float, panels_width: float, columns: int
) -> Iterator[tuple[str, Figure]]:
    named = slugs(score.name for score in setting.scores)
    for score in setting.scores:
        name = named[score.name]
        yield f"{name}_curves", figures.small_multiples(score, setting.baseline, panels_width, columns)
        yield f"{name}_differences", figures.area_differences(score, setting.baseline, width)
        yield f"{name}_savings", figures.label_savings(score, setting.baseline, width)
    if setting.timed is not None:
        yield "joint_savings_by_minutes", figures.label_savings(setting.timed, setting.baseline, width)
    if setting.aggregates:
        yield (
            "interquartile_means",
            figures.interquartile_means(setting.aggregates, setting.baseline, width, full_pool=setting.joint.full_pool),
        )
    if any(c.strategy != setting.baseline for c in setting.classes):
        yield "classes", figures.class_differences(setting.classes, setting.baseline, width)
    if setting.driving:
        yield "driving_heads", figures.driving(setting.driving, width)


def _page_of(setting: SettingComparison) -> dict[str, Any]:
    """What the template needs of one setting."""
    drawn = {
        name: to_svg(figure, f"{setting.name}: {name.replace('_', ' ')}")
        for name, figure in _figures(setting, width=PAGE, panels_width=2 * PAGE, columns=6)
    }
    head, rows = joint_rows(setting)
    named = slugs(score.name for score in setting.scores)
    return {
        "setting": setting,
        "conclusion": wording.conclusion(setting),
        "joint": (head, [(row, wording.worse_on(setting, row[0])) for row in rows]),
        "heads": head_rows(setting),
        "figures": drawn,
        "names": [(named[score.name], score.name, score.metric) for score in setting.scores],
        "picks": _picks(setting),
    }


def _picks(setting: SettingComparison) -> tuple[list[str], list[list[str]]]:
    heads = list({head: None for of in (*setting.driving.values(), *setting.percentiles.values()) for head in of})
    measures = list(next(iter(setting.redundancy.values())))
    head = ["strategy", *(f"driven by {h}" for h in heads), *(f"mean percentile on {h}" for h in heads), *measures]
    rows = []
    for strategy in setting.strategies:
        driven, percentile = setting.driving.get(strategy, {}), setting.percentiles.get(strategy, {})
        redundancy = setting.redundancy[strategy]
        rows.append(
            [
                strategy,
                *(_percent(driven.get(h, np.nan)) for h in heads),
                *(wording.number(percentile.get(h, np.nan), 0) for h in heads),
                *(wording.number(redundancy[m], 1 if "seconds" in m else 3) for m in measures),
            ]
        )
    return head, rows


def _penalties(found: Penalties) -> tuple[str, str]:
    figure = figures.penalties(found, width=PAGE)
    return found.score, to_svg(figure, f"penalty matrix {found.score}")


def _percent(share: float) -> str:
    return f"{share:.0%}" if np.isfinite(share) else "–"


def _data(setting: SettingComparison) -> dict[str, Any]:
    """Curves for the chart that the reader switches."""
    scores = [*setting.scores, *([setting.timed] if setting.timed else [])]
    return {
        "baseline": setting.baseline,
        "strategies": list(setting.strategies),
        "scores": [_score_data(score) for score in scores],
    }


def _score_data(score: ScoreComparison) -> dict[str, Any]:
    return {
        "label": f"{score.name} · {score.metric} · {score.unit}",
        "unit": score.unit,
        "axis": _rounded(score.axis),
        "full_pool": score.full_pool,
        "targets": [score.chance + share * (score.reference - score.chance) for share in SHARES],
        "curves": {
            strategy: {
                "mean": _rounded(curves.mean),
                "low": _rounded(score.bands[strategy][0]),
                "high": _rounded(score.bands[strategy][1]),
            }
            for strategy, curves in score.curves.items()
        },
    }


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(float(v), 5) if np.isfinite(v) else None for v in values]


def _json(value: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value).replace("<", "\\u003c")
