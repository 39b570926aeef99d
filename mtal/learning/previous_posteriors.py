"""Coarse posteriors of the pool, kept from round to round for signals that look at how a frame's answer changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtal.learning.run_folder import RunFolder
from mtal.tasks.posterior import HeadOutput

FILE = "posteriors.npz"


def write_posteriors(path: Path, frame_ids: Sequence[str], posteriors: Mapping[str, HeadOutput]) -> None:
    """``posteriors.npz``: ``frame_id [N]`` and, by task, ``[N, G, C]`` in half precision."""
    np.savez(
        path / FILE,
        allow_pickle=False,
        frame_id=np.asarray(frame_ids, dtype=np.str_),
        **{f"task/{task}": head.probs.cpu().numpy().astype(np.float16) for task, head in posteriors.items()},
    )


def read_previous(folder: RunFolder, frame_ids: Sequence[str]) -> list[dict[str, Tensor]]:
    """Posteriors of the same frames in the complete rounds of a run, oldest first: task to ``[N, G, C]`` float32."""
    rounds = []
    for number in range(folder.complete_rounds()):
        file = folder.round_path(number) / FILE
        if not file.exists():
            continue
        with np.load(file, allow_pickle=False) as stored:
            rows = pd.Index(stored["frame_id"]).get_indexer(list(frame_ids))  # what is left was in every earlier pool
            rounds.append(
                {
                    name.removeprefix("task/"): torch.from_numpy(stored[name][rows].astype(np.float32))
                    for name in stored.files
                    if name.startswith("task/")
                }
            )
    return rounds
