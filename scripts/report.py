"""Redraw the report of a run: ``python scripts/report.py RUN_DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtal.reporting.report import write_report


def main() -> None:
    parser = argparse.ArgumentParser(description="Redraw report.html from a run folder.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the folder that holds config.yaml and rounds/")
    try:
        print(write_report(parser.parse_args().run_dir))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
