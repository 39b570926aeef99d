"""What the rounds of a run have picked and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd


def picks(run: Path) -> list[list[str]]:
    return [pd.read_parquet(f)["frame_id"].tolist() for f in sorted(run.glob("rounds/*/picks.parquet"))]


def read(run: Path, number: int) -> dict:
    return json.loads((run / "rounds" / f"{number:02d}" / "metrics.json").read_text())
