"""Pack sweeps into small files, from which scripts/compare.py and scripts/make_results_page.py draw the same.

python scripts/pack_runs.py runs/study_endoscapes                                # to runs/packed
python scripts/pack_runs.py runs/study_endoscapes runs/study_endoscapes_full --out docs/studies
python scripts/pack_runs.py runs/study_endoscapes --out docs/studies --add      # seeds that were run later
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mtal.progress import track
from mtal.reporting.comparison.packed import SUFFIX, pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps")
    parser.add_argument("--out", type=Path, default=Path("runs/packed"), help="folder to write to (%(default)s)")
    parser.add_argument("--add", action="store_true", help="keep the runs that a file holds already")
    arguments = parser.parse_args()
    try:
        for sweep in track(arguments.sweeps, "Packing sweeps", total=len(arguments.sweeps)):
            file = arguments.out / f"{sweep.resolve().name}{SUFFIX}"
            runs = pack(sweep, file, arguments.add)
            print(f"{file}: {runs} finished runs, {file.stat().st_size / 1024:.0f} KiB")
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
