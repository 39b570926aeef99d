"""What a person sees of a run while it goes on."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from mtal.learning.loop import Experiment
from mtal.learning.run_folder import RunFolder
from mtal.learning.stop import reason
from mtal.reporting import RoundTable
from mtal.reporting.run_reader import stopped


class Screen:
    """One line on what is run, then one line of scores per round, those of an earlier start included.

    Args:
        path: the run folder, as it is shown.
        console: where to.
    """

    def __init__(self, path: Path, console: Console) -> None:
        self.path = path
        self.console = console
        self._table: RoundTable | None = None

    def on_start(self, experiment: Experiment, complete: int) -> None:
        """Before the first round; ``complete`` rounds are there already."""
        splits = experiment.dataset.index.table["split"].value_counts()
        self.console.print(
            f"[bold]{experiment.dataset.name}[/bold]: {splits.get('pool', 0)} frames in the pool, "
            f"{splits.get('test', 0)} held out; run folder [bold]{self.path}[/bold]",
            highlight=False,
            soft_wrap=True,  # a path that is broken in two can't be copied
        )
        if experiment.val_read_by:
            self.console.print(
                f"{experiment.val_labelled} labelled frames of val are read by {' and '.join(experiment.val_read_by)}: "
                "they count in the budget beside those that are picked.",
                highlight=False,
                soft_wrap=True,
            )
        last = experiment.loop.rounds
        if complete > last:
            self.console.print(f"All {complete} rounds are there already.", highlight=False)
        elif reason(RunFolder(self.path), experiment.loop.stop):
            self.console.print(f"All {complete} rounds that there will be are there already.", highlight=False)
        elif complete:
            self.console.print(
                f"Resuming: {complete} of {last + 1} rounds are there, going on with round {complete}.", highlight=False
            )
        self._table = RoundTable([t.name for t in experiment.tasks], self.console)
        for number in range(complete):
            self.on_round(self.path, number)

    def tell_search(self, val_labelled: int) -> None:
        """A search chooses by so many labelled frames of ``val``."""
        self.console.print(
            f"The search chooses by {val_labelled} labelled frames of val, which count in its budget.",
            highlight=False,
            soft_wrap=True,
        )

    def on_end(self) -> None:
        """Nothing more is to be done; say so where rounds are left."""
        if told := stopped(self.path):
            self.console.print(told, highlight=False, soft_wrap=True)

    def on_round(self, folder: Path, number: int) -> None:
        """A round is complete in ``folder``."""
        assert self._table is not None
        at = folder / "rounds" / f"{number:02d}"
        seconds = sum(json.loads((at / "timings.json").read_text()).values())
        self._table.add(json.loads((at / "metrics.json").read_text()), seconds)
