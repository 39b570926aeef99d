"""What a round that looked at the pool leaves of it: scores, utilities and features of every candidate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

from mtal.acquisition import ScoreTable
from mtal.row_groups import write_row_groups

SCORES = "scores.parquet"
EMBEDDINGS = "embeddings.npy"
_ROWS = 1 << 14  # of features converted at once


def write_scores(
    path: Path, frame_ids: pd.Series, table: ScoreTable, utility: Tensor, cost_s: npt.NDArray[np.float64] | None
) -> None:
    """``scores.parquet``: ``frame_id``, a column ``<task>/<signal>`` for each score, ``utility``, ``cost_s`` if known.

    Args:
        path: folder of the round.
        frame_ids: N candidates.
        table: their scores.
        utility: ``[N]``.
        cost_s: ``[N]`` annotator seconds; ``None`` where nothing asked for them.
    """
    numbers = dict(zip((f"{task}/{signal}" for task, signal in table.columns), table.values.numpy().T, strict=True))  # noqa: PD011
    numbers["utility"] = utility.numpy()
    if cost_s is not None:
        numbers["cost_s"] = cost_s

    def rows(piece: slice) -> pd.DataFrame:
        ids = frame_ids.iloc[piece].reset_index(drop=True)
        return pd.DataFrame({"frame_id": ids, **{name: column[piece] for name, column in numbers.items()}})

    write_row_groups(path / SCORES, len(frame_ids), rows)


def write_embeddings(path: Path, features: npt.NDArray[np.floating]) -> None:
    """``embeddings.npy``: features of the candidates, ``[N, D]``, in half precision."""
    with (path / EMBEDDINGS).open("wb") as file:
        about = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": features.shape}
        np.lib.format.write_array_header_1_0(file, about)
        for start in range(0, len(features), _ROWS):
            file.write(features[start : start + _ROWS].astype(np.float16).tobytes())
