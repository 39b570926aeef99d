"""What logging to W&B adds to a round of the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import wandb
from rich.table import Table

from mtal.reporting import Run, WandbLogger, read_run


def compare(repository: Path, rounds: int, repeats: int) -> Table:
    """Seconds of ``log_round`` over the median seconds of the demo's rounds after the initial one.

    Processor seconds are those of everything that logging keeps busy, W&B's own process, start and end included.
    """
    table = Table(
        *("round, s", "log_round, s", "share", "processor s per round", "share"),
        title="Logging a round of the demo to W&B, offline",
    )
    with tempfile.TemporaryDirectory() as folder:
        options = ["logger=none", f"loop.rounds={rounds}", f"run_root={folder}"]
        command = [sys.executable, "scripts/run.py", *options]
        subprocess.run(command, check=True, cwd=repository, stdout=subprocess.DEVNULL)
        run = read_run(next(Path(folder).glob("*/*")))
        spent = median(sum(this.timings.values()) for this in run.rounds[1:])
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a logger that failed would look quick
            clock, processor = _logged(run, repeats)
    table.add_row(
        *(f"{spent:.1f}", f"{clock:.3f}", f"{clock / spent:.2%}", f"{processor:.3f}", f"{processor / spent:.2%}")
    )
    return table


def _logged(run: Run, repeats: int) -> tuple[float, float]:
    """Median seconds on the clock, and mean ones of all processors, of logging one round."""
    seconds = []
    before = _processor_seconds()
    for _ in range(repeats):
        with WandbLogger() as logger:
            kept = [this.path.rename(this.path.with_name(f".{this.path.name}")) for this in run.rounds]
            logger.start(run.path, run.config)
            for this, hidden in zip(run.rounds, kept, strict=True):
                hidden.rename(this.path)
                start = time.perf_counter()
                logger.log_round(run.path, this.number)
                if this.number:
                    seconds.append(time.perf_counter() - start)
        wandb.teardown()  # its process is counted once it has ended
    return median(seconds), (_processor_seconds() - before) / (repeats * len(run.rounds))


def _processor_seconds() -> float:
    """Of this program and of the programs that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
