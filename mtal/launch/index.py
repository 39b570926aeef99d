"""``index.csv`` beside the run folders of one name: which options each of them was given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from mtal.whole_files import write_whole

INDEX = "index.csv"


def note_in_index(run: Path, overrides: Sequence[str]) -> None:
    """Write down, or again, which options the run folder ``run`` stands for.

    One row per folder that is there and a column per option, those first that tell the runs apart. Any number of
    processes may do so at once.

    Args:
        run: the run folder.
        overrides: its command line.
    """
    file = run.parent / INDEX
    row = {"run": run.name, **{key: value for key, _, value in (o.partition("=") for o in overrides)}}
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{INDEX}.lock")):
        rows = pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records") if file.is_file() else []
        there = {r["run"]: r for r in rows if r["run"] == run.name or (run.parent / r["run"]).is_dir()}
        if len(there) == len(rows) and {k: v for k, v in there.get(run.name, {}).items() if v} == row:
            return
        table = pd.DataFrame([*(r for name, r in there.items() if name != run.name), row]).fillna("")
        apart = [c for c in table if c != "run" and (table[c] != table[c].iloc[0]).any()]
        alike = [c for c in table if c != "run" and c not in apart and table[c].iloc[0]]
        table = table[["run", *apart, *alike]].sort_values("run", key=lambda names: names.map(_numbers_by_size))
        write_whole(file, table.to_csv(index=False))


def _numbers_by_size(name: str) -> str:
    """``seed=2`` stands before ``seed=10``."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(12), name)
