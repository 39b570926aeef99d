"""Annotators' time, where runs recorded what frames cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from mtal.reporting.run_reader import Round, Run

_ALL = "AllHeads"  # the query that is the default
Floats = npt.NDArray[np.float64]


def prices(runs: Sequence[Run]) -> pd.Series[float]:
    """Frame → seconds of annotation, the mean of what all rounds of all ``runs`` recorded for it; empty where none did.

    Costs are predicted by the model of the round, and a strategy that looks at no frame, such as random, records none.
    So all strategies pay the same price for a frame, whoever recorded it.
    """
    recorded = [table for run in runs for this in run.rounds if (table := _recorded(this)) is not None]
    if not recorded:
        return pd.Series(dtype=np.float64)
    return pd.concat(recorded).groupby("frame_id")["cost_s"].mean()


def minutes(run: Run, price: pd.Series[float]) -> Floats | None:
    """Minutes of annotation after the initial set, up to the end of each round, ``[rounds]`` from 0.

    The initial set is left out of all strategies alike. A run that chose which heads to ask for pays what it expected
    of these, since prices are of frames of which all heads are asked for.

    Returns:
        ``None`` where a pick has no price.
    """
    query = run.config.get("acquisition", {}).get("query") or {}
    chose = not query.get("_target_", _ALL).endswith(_ALL)
    seconds = [
        float((this.picks["cost_s"] if chose else price.reindex(this.picks["frame_id"])).sum(skipna=False))
        for this in run.rounds[1:]
    ]
    spent = np.cumsum([0.0, *seconds]) / 60  # [rounds]
    return None if np.isnan(spent).any() else spent


def _recorded(this: Round) -> pd.DataFrame | None:
    """Columns ``frame_id`` and ``cost_s``, of the whole pool if it was scored, else of the picks."""
    scores = this.path / "scores.parquet"
    if scores.is_file() and "cost_s" in pq.read_schema(scores).names:
        return pd.read_parquet(scores, columns=["frame_id", "cost_s"])
    return this.picks[["frame_id", "cost_s"]] if "cost_s" in this.picks else None
