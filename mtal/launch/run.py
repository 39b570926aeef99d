"""One run as a person sees it: resume message, table, report, W&B."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape

from mtal.annotation import LabelsPendingError
from mtal.launch.command_line import keep_command
from mtal.launch.faults import FAULTS_OF_INPUT, refuse_missing, tell
from mtal.launch.index import note_in_index
from mtal.launch.interruption import STANDING, stoppable
from mtal.launch.plain_warnings import plain_warnings
from mtal.launch.screen import Screen
from mtal.launch.search import is_search, refuse_without_val
from mtal.launch.sweep import FAILURE, begin, finished, note_failure, val_score
from mtal.launch.unread import warn_of_unread
from mtal.learning.experiment import run_experiment
from mtal.learning.loop import Experiment
from mtal.learning.options import options_of
from mtal.learning.run_folder import RunFolder
from mtal.learning.same_run import OtherRunError
from mtal.reporting import summary, write_report
from mtal.reporting.progress import read_progress


def launch(config: DictConfig) -> float | None:
    """Run the experiment of ``config`` in Hydra's output folder.

    Faults of the input end with one clear line and exit code 1 (set HYDRA_FULL_ERROR=1 for the traceback). In a sweep,
    a run that is finished already is passed over, and whatever stops a run is told, kept in its folder and listed at
    the end, while the other runs go on.

    Returns:
        The joint score of ``val`` in the last round, for sweepers that optimise it; ``None`` where there is none, while
        labels are pending, or if a run of a sweep failed.
    """
    hydra = HydraConfig.get()
    sweeping = hydra.mode == RunMode.MULTIRUN
    console = Console()
    path = Path(hydra.runtime.output_dir)
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    if not sweeping:
        STANDING.set(partial(_standing, path, int(config.loop.rounds)))
    try:
        # here as well as around the program, for the workers of a sweep, where Lightning would take SIGTERM for an end
        with stoppable(), plain_warnings(Console(stderr=True)):
            refuse_missing(config)
            return _run(config, path, console, sweeping)
    except LabelsPendingError as pending:
        told = f"[yellow]waiting for labels:[/yellow] {escape(str(pending))}"
        console.print(told, highlight=False, soft_wrap=True)  # a path that is broken in two can't be copied
        _report_progress(path)
        return None
    except Exception as error:
        if sweeping:
            tell(error)
            note_failure(path, error)
            if not isinstance(error, OtherRunError):
                _note(config, path)
            return None
        _end_log(path)
        _remove_empty(path, config)
        if not isinstance(error, FAULTS_OF_INPUT) or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        tell(error)
        sys.exit(1)


def _report_progress(path: Path) -> None:
    if read_progress(path) is not None:
        write_report(path)


def _is_named(path: Path, config: DictConfig) -> bool:
    """Whether the run folder is where options put it, and not one that was given."""
    return path.resolve().parent == (Path(config.run_root) / config.name).resolve()


def _note(config: DictConfig, path: Path) -> None:
    if _is_named(path, config):
        note_in_index(path, HydraConfig.get().overrides.task)


def _remove_empty(path: Path, config: DictConfig) -> None:
    """Hydra makes the folder of a run before anybody can refuse it."""
    if not _is_named(path, config):
        return
    for folder in (path, path.parent, Path(config.run_root)):
        if folder.is_dir() and any(folder.iterdir()):
            return
        if folder.is_dir():
            folder.rmdir()


def _end_log(path: Path) -> None:
    """Whatever is logged from now on is not of this run, whose folder may be gone."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).is_relative_to(path.resolve()):
            root.removeHandler(handler)
            handler.close()


def _standing(path: Path, last: int) -> str:
    complete = RunFolder(path).complete_rounds()
    if complete > last:
        return f"all {complete} rounds are in {path}; the same command draws the report"
    return f"{complete} of {last + 1} rounds are in {path}; the same command goes on with round {complete}"


def _run(config: DictConfig, path: Path, console: Console, sweeping: bool) -> float | None:
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    begin(path, plain)
    if sweeping:
        if finished(path, plain):
            _note(config, path)
            console.print(f"finished before: {path}", highlight=False, soft_wrap=True)
            return val_score(path)
        if plain["logger"].get("group", "") is None:
            plain["logger"]["group"] = plain["name"]  # as the runs of a sweep share the folder of this name
    options_of(config)  # a logger that is wrong is told with all else that is
    logger = instantiate(plain["logger"])
    screen = Screen(path, console)
    searching = is_search(HydraConfig.get().sweeper)

    def on_start(experiment: Experiment, complete: int) -> None:
        keep_command(path, config)
        _note(config, path)
        if searching:
            screen.tell_search(experiment.val_labelled)
        warn_of_unread(HydraConfig.get().overrides.task, experiment.acquisition)
        screen.on_start(experiment, complete)
        logger.start(path, plain)

    def on_round(folder: Path, number: int) -> None:
        screen.on_round(folder, number)
        logger.log_round(folder, number)

    pending: LabelsPendingError | None = None
    with logger:  # tells W&B of a run that failed; one that waits for labels did not
        try:
            run_experiment(config, path, [on_round], on_start, refuse_without_val if searching else None)
        except LabelsPendingError as error:
            pending = error
    if pending is not None:
        raise pending
    screen.on_end()
    write_report(path)
    (path / FAILURE).unlink(missing_ok=True)  # of another sweep that found this run at work
    summary(path, console, failed=logger.logged is None)
    return val_score(path)
