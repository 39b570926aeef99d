"""The W&B workspace of one or more sweeps: every panel shows something that their runs log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import BarPlot, Config, LinePlot, MediaBrowser, WeavePanelSummaryTable
from wandb_workspaces.workspaces import (
    RunsetSettings,
    Section,
    SectionLayoutSettings,
    SectionPanelSettings,
    Workspace,
    WorkspaceSettings,
)

from mtal.reporting.run_options import sweep_of
from mtal.reporting.run_reader import Run, main_metric
from mtal.reporting.wandb_payload import LABELLED, PICTURES, TABLE, scalars

_STRATEGY = "strategy"  # as the logger calls it in the configuration
_COLUMNS = 3


def dashboard(runs: Sequence[Run], entity: str, project: str, name: str) -> Workspace:
    """A workspace with one axis of labelled frames and one line per strategy: the mean over its seeds, ± 1 s.e.

    Its panels are made from what the logger logs of ``runs``, so none is empty once these are in the project. Runs of
    other sweeps in the project are left out, unless one of ``runs`` belongs to no sweep.

    Args:
        runs: at least one, all with at least one complete round.
        entity: W&B user or team.
        project: W&B project; need not exist before the workspace is saved.
        name: shown name.
    """
    keys = list(dict.fromkeys(key for run in runs for this in run.rounds for key in scalars(run, this)))
    tasks = list(dict.fromkeys(task for run in runs for task in run.tasks))
    main = [key for task in tasks if (key := main_metric(task, dict.fromkeys(keys, 0.0)))]
    scores = [key for key in ("joint", *main) if key in keys]
    of_heads = [key for key in keys if key.split("/")[0] in tasks]
    sections = [
        _section("Strategies", [*map(_curve, scores), *map(_bar, scores)], is_open=True),
        _section("Share of picks by head", map(_curve, _below("share", keys)), is_open=True),
        _section("Picks", [*_galleries(runs), WeavePanelSummaryTable(table_name=TABLE)], is_open=True, columns=1),
        _section("Heads", map(_curve, [k for k in of_heads if k.count("/") == 1 and k not in main])),
        _section("Classes", map(_curve, [k for k in of_heads if k.count("/") > 1])),
        _section("Labelled frames with the class", map(_curve, _below("class_counts", keys))),
        _section("Answers by head", map(_curve, _below("answers", keys))),
        _section("Seconds", map(_curve, _below("seconds", keys))),
    ]
    groups = {sweep_of(run.path, run.config) for run in runs}
    return Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[section for section in sections if section.panels],
        settings=WorkspaceSettings(x_axis=LABELLED, max_runs=max(10, len(runs))),
        runset_settings=RunsetSettings(
            filters="" if None in groups else expr.And(expr.Metric("Group").isin(sorted(map(str, groups)))),
            groupby=[expr.Config(_STRATEGY)],
        ),
    )


def specification(workspace: Workspace) -> dict[str, Any]:
    """What would be sent to the server: the view's name, entity, project and ``spec``."""
    view: dict[str, Any] = workspace._spec  # noqa: SLF001  there is no public way to see it
    return view


def _section(name: str, panels: Iterable[Any], *, is_open: bool = False, columns: int = _COLUMNS) -> Section:
    """A section that shows all its panels at once, without pages."""
    shown = list(panels)
    layout = SectionLayoutSettings(columns=columns, rows=max(1, math.ceil(len(shown) / columns)))
    return Section(
        name=name,
        panels=shown,
        is_open=is_open,
        layout_settings=layout,
        panel_settings=SectionPanelSettings(x_axis=LABELLED),  # a section's axis goes before the workspace's
    )


def _below(prefix: str, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.startswith(f"{prefix}/")]


def _curve(key: str) -> LinePlot:
    return LinePlot(
        title=key,
        x=LABELLED,
        y=[key],
        title_x="labelled frames",
        groupby=Config(_STRATEGY),
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
    )


def _bar(key: str) -> BarPlot:
    """The last round's value."""
    return BarPlot(
        title=f"{key}, last round",
        metrics=[key],
        groupby=Config(_STRATEGY),
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
    )


def _galleries(runs: Iterable[Run]) -> list[MediaBrowser]:
    """The picks of each run with a slider over the rounds; none where no picture was kept."""
    kept = any(this.image(int(order)) for run in runs for this in run.rounds for order in this.picks["order"])
    return [MediaBrowser(title="picks", media_keys=[PICTURES], num_columns=4)] if kept else []
