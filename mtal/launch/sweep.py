"""What a sweep keeps of its jobs: which are finished, and which failed and why."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from mtal.launch.faults import tell
from mtal.launch.interruption import STANDING
from mtal.launch.run_name import name_by_sweep
from mtal.launch.search import is_search, watch
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.run_folder import RunFolder
from mtal.learning.same_run import OtherRunError
from mtal.learning.stop import reason

FAILURE = "failed.txt"
"""In the folder of a run that failed: what happened. A later start takes it away."""

_BLANK = "\n\n"  # between what happened and where

REPORT = "report.html"
"""In the folder of a run whose rounds are all there."""


def finished(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether the rounds and the report of a run of ``config`` are all there, or all that there will be.

    Nothing but the folder is looked at, so a sweep that is started again passes over its finished runs in no time.

    Raises:
        ValueError: the folder holds a run of another config.
    """
    folder = RunFolder(path)
    if not (path / REPORT).is_file():
        return False
    loop = LoopSettings.of(config["loop"])
    if folder.complete_rounds() <= loop.rounds and not reason(folder, loop.stop):
        return False
    folder.refuse_other(config)
    return True


def val_score(path: Path) -> float | None:
    """Joint score of the split ``val`` in the last round of a run, where it has one: what a search may choose by."""
    folder = RunFolder(path)
    joint: float | None = folder.metrics(folder.complete_rounds() - 1).get("val", {}).get("joint")
    return joint


def begin(path: Path, config: Mapping[str, Any]) -> None:
    """Take away what an earlier start kept of its failure.

    Raises:
        OtherRunError: the folder holds a run of another config.
    """
    _beside(path).unlink(missing_ok=True)
    RunFolder(path).refuse_other(config)
    (path / FAILURE).unlink(missing_ok=True)


def note_failure(path: Path, error: Exception) -> None:
    """Keep what stopped a run in its folder, or beside it where the folder is another run's."""
    file = _beside(path) if isinstance(error, OtherRunError) else path / FAILURE
    file.parent.mkdir(parents=True, exist_ok=True)
    what = f"{type(error).__name__}: {error}"
    file.write_text(f"{what}{_BLANK}{''.join(traceback.format_exception(error))}")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{FAILURE}")


def _standing(sweep: Path) -> str:
    begun = [p.parent for p in sweep.glob("*/tasks.json")]
    drawn = sum((run / REPORT).is_file() for run in begun)
    return (
        f"{sweep} has {len(begun)} run{'' if len(begun) == 1 else 's'}, {drawn} with a report; the same command goes on"
    )


def _failures(folder: Path) -> dict[tuple[str, Path], int]:
    """Name of a run that failed and the file that tells why, and when that was written."""
    files = [(p.parent.name, p) for p in folder.glob(f"*/{FAILURE}")]
    files += [(p.name.removesuffix(f".{FAILURE}"), p) for p in folder.glob(f"*.{FAILURE}")]
    return {(name, p): p.stat().st_mtime_ns for name, p in files}


class SweepSummary(Callback):
    """Has runs named by what is swept, says at the end which failed, and ends the program with exit code 1 if any did.

    Hydra makes it from ``hydra.callbacks``. It reads the folders, so it does not matter which process ran a job.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """See :class:`hydra.experimental.callback.Callback`."""
        STANDING.set(partial(_standing, Path(config.hydra.sweep.dir)))
        self._earlier = _failures(Path(config.hydra.sweep.dir))
        try:
            name_by_sweep(config)
        except ValueError as error:
            tell(error)
            raise SystemExit(1) from None
        self._scored = True
        if is_search(config.hydra.sweeper):
            watch(self._no_score)

    def _no_score(self) -> None:
        self._scored = False

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """See :class:`hydra.experimental.callback.Callback`."""
        folder = Path(config.hydra.sweep.dir)
        console = Console(stderr=True)
        found = _failures(folder)
        failures = [(name, p) for (name, p), at in found.items() if self._earlier.get((name, p)) != at]
        runs = [p.parent for p in folder.glob("*/tasks.json")]
        console.print(
            f"{len(runs)} runs in {folder}, {len(failures)} failed", highlight=False, soft_wrap=True, markup=False
        )
        for run, failure in sorted(failures):
            console.print(
                f"failed: {run}: {failure.read_text().partition(_BLANK)[0]}",
                style="red",
                markup=False,
                soft_wrap=True,
            )
        if failures:
            console.print(
                "The same command runs the failed ones again and passes over those that are finished.", highlight=False
            )
        if not self._scored:
            console.print("error: no run of the search gave a joint score of val, so none is the best", style="red")
        if failures or not self._scored:
            raise SystemExit(1)
