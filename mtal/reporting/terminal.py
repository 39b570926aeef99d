"""What the terminal shows of a run: one row per round, and where to look in the end."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from mtal.reporting.run_reader import main_metric, trained_in_words

_WIDTHS = {"round": 5, "labelled": 8, "seconds": 9}
_SCORE_WIDTH = len("0.612 +0.051")
_TRAINED_WIDTH = len("5000 steps, not converged")


class RoundTable:
    """A table that grows by one row per round, with the change against the round before.

    Every row is printed as it comes and never redrawn, so the table is the same in a terminal and in a log file.
    Columns: round, labelled frames, the main metric of each head, the joint score, where ``val`` decides on it how long
    was trained, seconds.

    Args:
        tasks: names of the heads, in the order of the columns.
        console: where to print; standard output if None.
    """

    def __init__(self, tasks: Iterable[str], console: Console | None = None) -> None:
        self.tasks = tuple(tasks)
        self.console = Console() if console is None else console
        self._previous: dict[str, float] | None = None

    def add(self, metrics: Mapping[str, Any], seconds: float) -> None:
        """Print one round.

        Args:
            metrics: the content of the round's ``metrics.json``: ``round``, ``labelled`` and ``metrics``, and
                ``training`` where it tells.
            seconds: how long the round took.
        """
        values = {key: math.nan if v is None else float(v) for key, v in metrics["metrics"].items()}
        keys = [(task, main_metric(task, values)) for task in self.tasks]
        scores = {task: values.get(key, math.nan) if key else math.nan for task, key in keys}
        scores["joint"] = values.get("joint", math.nan)
        trained = trained_in_words(metrics.get("training", {}))
        if self._previous is None:
            titles = [task if key is None else key.replace("/", " ") for task, key in keys]
            self._print(
                ["round", "labelled", *titles, "joint", *(["trained"] if trained else []), "seconds"], style="bold"
            )
        before = self._previous or {}
        cells = [_score(value, before.get(name, math.nan)) for name, value in scores.items()]
        self._print(
            [str(metrics["round"]), str(metrics["labelled"]), *cells, *([trained] if trained else []), f"{seconds:.1f}"]
        )
        self._previous = scores

    def _print(self, cells: list[str | Text], style: str = "") -> None:
        row = Text(style=style)
        for cell, width in zip(cells, self._widths(len(cells)), strict=True):
            text = Text(cell) if isinstance(cell, str) else cell
            row.append(" " * (2 + width - text.cell_len)).append_text(text)
        # soft_wrap: a log file has no width of its own, and rich would break the row after 80 characters
        self.console.print(row, soft_wrap=True)

    def _widths(self, cells: int) -> list[int]:
        heads = [max(_SCORE_WIDTH, len(task) + len(" mIoU")) for task in self.tasks]
        widths = [_WIDTHS["round"], _WIDTHS["labelled"], *heads, _SCORE_WIDTH]
        return [*widths, *([_TRAINED_WIDTH] if cells > len(widths) + 1 else []), _WIDTHS["seconds"]]


def summary(run_dir: Path | str, console: Console | None = None, *, failed: bool = False) -> None:
    """Print where the report of a run is and how to look at the run in W&B.

    Args:
        run_dir: the run folder.
        console: where to print; standard output if None.
        failed: whether W&B did: what it left behind is not the whole run, and nothing to upload.
    """
    run_dir = Path(run_dir)
    console = Console() if console is None else console
    lines, place = [], shlex.quote(str(run_dir))
    report = run_dir / "report.html"
    if report.is_file():
        lines.append(f"Report: {report}  (open it in a browser)")
    else:
        lines.append(f"Report: none yet; draw it with: python scripts/report.py {place}")
    # Each start writes a whole history of its own, so only the newest one is to be uploaded.
    offline = sorted((run_dir / "wandb").glob("offline-run-*"))
    online = sorted((run_dir / "wandb").glob("run-*"))
    if failed:
        lines.append(f"W&B:    failed, see the warning; log the run with: python scripts/log_to_wandb.py {place}")
    elif offline and (not online or offline[-1].name.removeprefix("offline-") > online[-1].name):
        lines.append(f"W&B:    offline; upload it with: wandb sync {shlex.quote(str(offline[-1]))}")
    elif online:
        lines.append("W&B:    uploaded during the run")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _score(value: float, before: float) -> Text:
    """``0.612 +0.051``: green for a gain, red for a loss; the sign says it where there are no colours."""
    if not math.isfinite(value):
        return Text("-", style="dim")
    if not math.isfinite(before):
        return Text(f"{value:.3f}       ")
    change = value - before
    style = "green" if change > 0 else "red" if change < 0 else "dim"
    return Text.assemble(f"{value:.3f} ", (f"{change:+.3f}", style))
