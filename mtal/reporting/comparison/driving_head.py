"""Which head drives the picks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtal.reporting.pick import loudest
from mtal.reporting.run_reader import Run


def driving_shares(runs: Sequence[Run]) -> dict[str, float]:
    """Head → share of the picks for which it spoke loudest, mean over ``runs``; empty where the picks went by no head.

    A head speaks loudest for a frame if the frame's highest percentile within the pool, of all that the selector read,
    is of one of its signals or of its gradient (``reason_task``). Signals of all heads together count as one more,
    ``shared``, so that the shares add up to 1. Heads whose scores agree share by chance, so compare with the other
    strategies and not with an equal split.
    """
    shares = [of for run in runs if (of := loudest(_picked(run), run.tasks))]
    heads = dict.fromkeys(head for of in shares for head in of)
    return {head: float(np.mean([of.get(head, 0.0) for of in shares])) for head in heads}


def mean_percentiles(runs: Sequence[Run]) -> dict[str, float]:
    """Head → mean percentile of the picks on its signals, within the pool of their round; 50 is chance."""
    columns: dict[str, list[float]] = {}
    for run in runs:
        picks = _picked(run)
        for task in run.tasks:
            own = picks[[c for c in picks.columns if str(c).startswith(f"percentile/{task}/")]].to_numpy(
                dtype=np.float64
            )
            if np.isfinite(own).any():
                columns.setdefault(task, []).append(float(np.nanmean(own)))
    return {task: float(np.mean(values)) for task, values in columns.items()}


def _picked(run: Run) -> pd.DataFrame:
    """Picks after the initial set."""
    return pd.concat([r.picks for r in run.rounds[1:]]) if len(run.rounds) > 1 else pd.DataFrame()
