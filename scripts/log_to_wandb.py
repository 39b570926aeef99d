"""Log finished or broken-off runs to W&B from their folders: ``python scripts/log_to_wandb.py SWEEP... [--online]``.

For runs that ran with ``logger=none``, or whose logging failed. A run is one run of W&B however often it is logged: its
id is that of its folder and configuration. Offline, a file is written to each run folder, and what the newest one holds
is not written again.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from mtal.reporting import WandbLogger, read_run
from mtal.reporting.comparison.found_runs import find_begun
from mtal.reporting.offline_file import is_logged
from mtal.reporting.run_options import sweep_of
from mtal.reporting.run_reader import plain
from mtal.reporting.wandb_logger import run_id

_FILE = Path("wandb", "latest-run")  # in a run folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Log runs to W&B from their folders.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps or of single runs")
    parser.add_argument("--project", default="mtal", help="W&B project (%(default)s)")
    parser.add_argument("--entity", help="W&B user or team")
    parser.add_argument("--online", action="store_true", help="upload at once instead of writing files for wandb sync")
    arguments = parser.parse_args()
    try:
        begun, left_out = find_begun(arguments.folders)
        for early in left_out:
            print(f"{early.path}: not logged, {early.reason}", file=sys.stderr)
        there = [path for path in begun if log(path, arguments.project, arguments.entity, arguments.online)]
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    if there and not arguments.online:
        print(f"upload with: wandb sync {' '.join(files_of(arguments.folders, there))}")


def log(path: Path, project: str, entity: str | None, online: bool) -> bool:
    """Log one run and say so; whether W&B, or a file for it, has all rounds that there are."""
    run = read_run(path)
    if not run.rounds:
        print(f"{path}: not logged, no round is complete yet", file=sys.stderr)
        return False
    rounds, config = [this.number for this in run.rounds], plain(run.config)
    told = f"{len(rounds)} round{'' if len(rounds) == 1 else 's'}"
    if not online and is_logged(path, run_id(config, path), rounds, project, entity):
        print(f"{path}: {told} logged before; to write the file again, take {path / _FILE} away")
        return True
    mode: Literal["online", "offline"] = "online" if online else "offline"
    with WandbLogger(project, mode, group=sweep_of(path, config), entity=entity) as logger:
        logger.start(path, config)
    if logger.logged is None:
        print(f"{path}: not logged, see the warning", file=sys.stderr)
        return False
    print(f"{path}: {told} {f'are at {logger.url}' if online else f'written to {path / _FILE}'}")
    return True


def files_of(folders: Sequence[Path], runs: Iterable[Path]) -> list[str]:
    """What names the files of all the runs below the folders to a shell, one pattern for those of one sweep."""
    patterns = {}
    for run in runs:
        folder = next(f for f in folders if run.is_relative_to(f.resolve()))
        deeper = Path(*("*" for _ in run.relative_to(folder.resolve()).parts), _FILE)
        patterns[f"{shlex.quote(str(folder))}/{deeper}"] = None
    return list(patterns)


if __name__ == "__main__":
    main()
