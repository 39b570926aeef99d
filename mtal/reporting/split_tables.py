"""A split report in the terminal and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from mtal.datasets.label_map import IGNORE
from mtal.datasets.split_report import SplitReport

_WIDTH = 200  # more than any table needs


def print_split_report(report: SplitReport, console: Console) -> None:
    """Print frames, patients and positives by split, how labels go together, and what is wrong."""
    console.print(f"[bold]{report.name}[/bold]", highlight=False)
    sizes = _table("split", "frames", "videos", "patients")
    for size in report.splits.itertuples(index=False):
        sizes.add_row(str(size.split), str(size.frames), str(size.videos), str(size.patients))
    _print(console, sizes)
    splits = report.splits["split"].tolist()
    classes = _table("", "class", *(column for s in splits for column in (s, "%", "patients")))
    rows = report.classes.to_dict("records")
    for number, row in enumerate(rows, start=1):
        if number == 1 or row["task"] != rows[number - 2]["task"]:
            classes.add_section()
            classes.add_row("", f"[bold]{row['task']}[/bold]")
        counts = [(row[f"{s}_positive"], row[f"{s}_annotated"], row[f"{s}_patients"]) for s in splits]
        classes.add_row(str(number), str(row["class"]), *(cell for count in counts for cell in _cells(*count)))
    _print(console, classes)
    _print_together(report, console)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def write_split_report(report: SplitReport, folder: Path) -> list[Path]:
    """Write ``report.txt``, as printed, and its tables ``splits.csv``, ``classes.csv`` and ``together.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("report.txt", "splits.csv", "classes.csv", "together.csv")]
    with paths[0].open("w", encoding="utf-8") as file:
        print_split_report(report, Console(file=file, width=_WIDTH, color_system=None, force_jupyter=False))
    report.splits.to_csv(paths[1], index=False)
    report.classes.to_csv(paths[2], index=False)
    names = [f"{t}/{c}" for t, c in zip(report.classes["task"], report.classes["class"], strict=True)]
    pd.DataFrame(report.together, index=names, columns=names).to_csv(paths[3])
    return paths


def _print_together(report: SplitReport, console: Console) -> None:
    seen = [i for i in range(len(report.together)) if report.together[i, i]]
    if len(seen) < 2:
        return
    # tags alone, where there are any: all classes would be too wide to read, and together.csv has them
    columns = [i for i in seen if report.classes["kind"].iloc[i] == "tag"] or seen
    told = "of 100 frames with the class of a row in which somebody looked for that of a column, so many show it"
    console.print(told, style="dim", soft_wrap=True)
    looked = (report.shown == 1).astype(np.int64).T @ (report.shown != IGNORE)  # [L, L]
    table = _table("", "class", *(str(i + 1) for i in columns), padding=(0, 0, 0, 1))
    for i in seen:
        shares = [_share(report.together[i, j], looked[i, j]) if i != j else "·" for j in columns]
        table.add_row(str(i + 1), str(report.classes["class"].iloc[i]), *shares)
    _print(console, table)


def _table(*columns: str, padding: tuple[int, int, int, int] = (0, 1, 0, 1)) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("split", "class") else "right", no_wrap=True)
    return table


def _print(console: Console, table: Table) -> None:
    """At its full width: a terminal that is too narrow breaks lines, where rich would cut names."""
    width = console.width
    console.width = max(width, _WIDTH)
    console.print(table, crop=False)
    console.width = width


def _share(shown: int, looked: int) -> str:
    return f"{100 * shown / looked:.0f}" if looked else "-"


def _cells(positive: int, annotated: int, patients: int) -> tuple[str, str, str]:
    """Frames, their share in percent and patients; ``-`` where nobody looked."""
    return (str(positive), f"{100 * positive / annotated:.1f}", str(patients)) if annotated else ("-", "-", "-")
