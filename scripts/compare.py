"""Compare the strategies of one or more sweeps: ``python scripts/compare.py SWEEP... [--full-pool RUN...]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtal.reporting.comparison import compare, show, write_comparison
from mtal.reporting.comparison.packed import SUFFIX, as_folders


def main() -> None:
    parser = argparse.ArgumentParser(description="Which strategy wins, by how much, and how sure that is.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps or runs, or packed")
    parser.add_argument(
        "--full-pool",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs trained on the whole pool (experiment=full_pool): label saving is measured at 90 and 95 %% of what "
        "their score is above chance, else of the best score seen",
    )
    parser.add_argument("--baseline", metavar="NAME", help="strategy that the others are compared with (random)")
    parser.add_argument("--out", type=Path, help="where to write (<first SWEEP>/comparison)")
    arguments = parser.parse_args()
    try:
        first: Path = arguments.folders[0]
        beside = first.with_name(f"{first.name.removesuffix(SUFFIX)}_comparison")
        out = arguments.out or (beside if first.is_file() else first / "comparison")
        with as_folders(arguments.folders) as folders, as_folders(arguments.full_pool) as full_pool:
            comparison = compare(folders, full_pool, arguments.baseline)
            show(comparison)
            print(write_comparison(comparison, out))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
