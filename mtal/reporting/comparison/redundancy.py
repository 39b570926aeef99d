"""How much the picks repeat each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtal.reporting.run_reader import Round, Run


def mean_gap(run: Run) -> float:
    """Mean seconds from a picked frame to the nearest other labelled frame of its video, at the end of ``run``.

    The initial set counts as labelled, not as picked. NaN where no picked frame shares its video with another.
    """
    labelled = pd.concat([this.picks.assign(picked=this.number > 0) for this in run.rounds])
    gaps = []
    for _, frames in labelled.groupby("video"):
        ordered = frames.sort_values("time_s")
        steps = np.diff(ordered["time_s"].to_numpy(dtype=np.float64))  # [n - 1]
        nearest = np.minimum(np.append(steps, np.inf), np.append(np.inf, steps))  # [n]
        gaps.append(nearest[ordered["picked"].to_numpy(dtype=bool)])
    known = np.concatenate(gaps)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else np.nan


def neighbour_distance(run: Run) -> float:
    """Mean cosine distance, 0 to 2, from a pick to the nearest other one of its batch in the shared features.

    NaN where no round stored ``embeddings.npy``, whose rows are the frames of ``scores.parquet``.
    """
    distances = [d for this in run.rounds if (d := _in_batch(this)) is not None]
    return float(np.concatenate(distances).mean()) if distances else np.nan


def mean_of(runs: Sequence[Run]) -> dict[str, float]:
    """Both measures, mean over the runs in which they are known."""
    found = {
        "seconds to the nearest labelled frame": [mean_gap(run) for run in runs],
        "cosine distance to the nearest pick": [neighbour_distance(run) for run in runs],
    }
    return {name: float(np.nanmean(v)) if np.isfinite(v).any() else np.nan for name, v in found.items()}


def _in_batch(this: Round) -> np.ndarray | None:
    stored, scores = this.path / "embeddings.npy", this.path / "scores.parquet"
    if len(this.picks) < 2 or not (stored.is_file() and scores.is_file()):
        return None
    pool = pd.Index(pd.read_parquet(scores, columns=["frame_id"])["frame_id"])
    rows = pool.get_indexer(this.picks["frame_id"])
    if (rows < 0).any():
        raise ValueError(f"{scores}: a pick of {this.path / 'picks.parquet'} is not among the scored frames")
    features = np.load(stored, mmap_mode="r")[rows].astype(np.float64)  # [n, D]
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosine = features @ features.T  # [n, n]
    np.fill_diagonal(cosine, -np.inf)
    return np.clip(1 - cosine.max(axis=1), 0, 2)  # [n]
