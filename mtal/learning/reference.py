"""Scores of an earlier round, which frozen statistics are taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtal.acquisition import ScoreTable
from mtal.frames.index import FrameIds
from mtal.learning.run_folder import RunFolder
from mtal.learning.score_files import SCORES


@dataclass(frozen=True)
class Reference:
    """What a normaliser takes its statistics from.

    Args:
        table: scores of a pool.
        frame_ids: its frames, or empty where they are of other videos than the candidates.
    """

    table: ScoreTable
    frame_ids: FrameIds = ()


def first_scores(folder: RunFolder) -> Reference | None:
    """Scores of the first scored round of a run; ``None`` while there is none."""
    for number in range(1, folder.complete_rounds()):
        file = folder.round_path(number) / SCORES
        if file.exists():
            frame = pd.read_parquet(file)
            names = [c for c in frame.columns if "/" in c]
            columns = tuple((task, signal) for task, signal in (n.split("/", 1) for n in names))
            scores = torch.tensor(frame[names].to_numpy(dtype=np.float64))  # [R, T]
            return Reference(ScoreTable(columns, scores), frame["frame_id"])
    return None
