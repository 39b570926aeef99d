"""Log finished or broken-off runs to W&B from their folders: ``python scripts/log_to_wandb.py SWEEP... [--online]``.

For runs that ran with ``logger=none``, or whose logging failed. Offline, a new file is written to each run folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mtal.reporting import WandbLogger, read_run
from mtal.reporting.comparison.found_runs import find_begun
from mtal.reporting.run_options import sweep_of


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
        for path in begun:
            config = read_run(path).config
            with WandbLogger(
                project=arguments.project,
                entity=arguments.entity,
                group=sweep_of(path, config),
                mode="online" if arguments.online else "offline",
            ) as logger:
                logger.start(path, config)
            print(path)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
