"""Build the W&B workspace of one or more sweeps: ``python scripts/make_dashboard.py SWEEP... [--dry-run]``.

Curves per head and joint with one line per strategy, scores of the last round, share of the picks by head, the picks
with their pictures, classes, timings. The runs themselves are uploaded by ``wandb sync SWEEP/*/wandb/latest-run``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import wandb

from mtal.reporting import read_run
from mtal.reporting.comparison.found_runs import find_begun
from mtal.reporting.dashboard import dashboard, specification


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the W&B workspace of one or more sweeps.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps or of single runs")
    parser.add_argument("--project", default="mtal", help="W&B project (%(default)s)")
    parser.add_argument(
        "--entity", default=os.environ.get("WANDB_ENTITY"), help="W&B user or team (WANDB_ENTITY, else your own)"
    )
    parser.add_argument("--name", help="of the workspace (the folders' names)")
    parser.add_argument("--dry-run", action="store_true", help="print the workspace as JSON and send nothing")
    arguments = parser.parse_args()
    try:
        begun, left_out = find_begun(arguments.folders)
        runs = [run for run in map(read_run, begun) if run.rounds]
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    for early in left_out:
        print(f"{early.path}: left out, {early.reason}", file=sys.stderr)
    if not runs:
        raise SystemExit(f"{arguments.folders[0]}: no round is complete yet, so there is nothing to show")
    name = arguments.name or " and ".join(folder.resolve().name for folder in arguments.folders)
    if arguments.dry_run:
        workspace = dashboard(runs, arguments.entity or "", arguments.project, name)
        print(json.dumps(specification(workspace), indent=2))
        return
    try:
        entity = arguments.entity or wandb.Api().default_entity
        print(dashboard(runs, str(entity), arguments.project, name).save().url)
    except Exception as error:  # W&B's own errors, those of the network and of the server's answer
        raise SystemExit(
            f"W&B could not save the workspace: {error}; log in with wandb login, or look at it with --dry-run"
        ) from error


if __name__ == "__main__":
    main()
