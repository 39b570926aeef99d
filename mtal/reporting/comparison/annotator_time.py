"""Annotators' time, where a run recorded what each pick costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.reporting.run_reader import Round, Run

Floats = npt.NDArray[np.float64]


def minutes(run: Run) -> Floats | None:
    """Minutes of annotation after the initial set, up to the end of each round, ``[rounds]`` from 0.

    The initial set is picked before anything is known of its frames, so it has no recorded cost; it is left out of all
    strategies alike.

    Returns:
        ``None`` where a round has no ``cost_s``, in ``picks.parquet`` or ``scores.parquet``.
    """
    spent = [0.0]
    for this in run.rounds[1:]:
        seconds = _seconds(this)
        if seconds is None:
            return None
        spent.append(seconds)
    return np.cumsum(spent) / 60  # [rounds]


def _seconds(this: Round) -> float | None:
    if "cost_s" in this.picks:
        cost = this.picks["cost_s"]
    else:
        scores = this.path / "scores.parquet"
        if not scores.is_file():
            return None
        table = pd.read_parquet(scores)
        if "cost_s" not in table:
            return None
        cost = table.set_index("frame_id")["cost_s"].reindex(this.picks["frame_id"])
    return None if cost.isna().any() else float(cost.sum())
