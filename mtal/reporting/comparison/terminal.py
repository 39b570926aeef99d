"""The comparison on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtal.reporting.comparison import wording
from mtal.reporting.comparison.comparison import Comparison
from mtal.reporting.comparison.setting_comparison import SettingComparison
from mtal.reporting.comparison.tables import joint_rows

WIDTH = 160
"""Columns in a log file, which has no width of its own."""

_COLORS = {
    "wins": "green",
    "loses": "red",
    "undecided": "yellow",
    "not tested": "dim",
    "baseline": "bold",
    "bound": "dim",
}


def show(comparison: Comparison, console: Console | None = None) -> None:
    """Print one table per setting and what it says in plain words."""
    console = Console() if console is None else console
    if not console.is_terminal:
        console.width = WIDTH
    for setting in comparison.settings:
        console.print(_table(setting))
        for sentence in wording.conclusion(setting):
            console.print(Text(sentence))
        for note in setting.notes:
            console.print(Text(note, style="dim"))
    if comparison.left_out:
        console.print(Text(f"Left out ({len(comparison.left_out)}):", style="yellow"))
        for out in comparison.left_out:
            console.print(Text(f"  {out.path}: {out.reason}"), soft_wrap=True)


def _table(setting: SettingComparison) -> Table:
    table = Table(title=Text(f"{setting.name}: joint score against labelled frames"), box=SIMPLE)
    head, rows = joint_rows(setting)
    for position, name in enumerate([*head, "worse on"]):
        # strategies and heads may take several lines, figures stay whole
        wraps = position == 0 or position == len(head)
        table.add_column(Text(name), no_wrap=not wraps, overflow="fold", justify="left" if wraps else "right")
    for row, cells in zip(setting.joint.rows, rows, strict=True):
        worse = wording.worse_on(setting, row.strategy)
        table.add_row(*(Text(c) for c in cells[:-1]), Text(cells[-1], style=_COLORS[row.verdict]), Text(worse))
    return table
