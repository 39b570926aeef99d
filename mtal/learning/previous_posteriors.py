"""Coarse posteriors of the pool, kept from round to round for signals that look at how a frame's answer changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.frames.index import FrameIndex
from mtal.learning.run_folder import RunFolder
from mtal.tasks.posterior import HeadOutput

FILE = "posteriors.npz"


def write_posteriors(path: Path, rows: npt.NDArray[np.int64], posteriors: Mapping[str, HeadOutput]) -> None:
    """``posteriors.npz``: ``row [N]`` of the frame index, ascending, and, by task, ``[N, G, C]`` in half precision."""
    np.savez(
        path / FILE,
        allow_pickle=False,
        row=rows,
        **{f"task/{task}": head.probs.cpu().numpy().astype(np.float16) for task, head in posteriors.items()},
    )


def read_previous(folder: RunFolder, index: FrameIndex, rows: npt.NDArray[np.int64]) -> list[dict[str, Tensor]]:
    """Posteriors of the same frames in the complete rounds of a run, oldest first: task to ``[N, G, C]`` float32.

    Args:
        folder: the run.
        index: its frames.
        rows: N of them, which are candidates now and so were in every round before.
    """
    rounds = []
    for number in range(folder.complete_rounds()):
        file = folder.round_path(number) / FILE
        if not file.exists():
            continue
        with np.load(file, allow_pickle=False) as stored:
            seen = stored["row"] if "row" in stored else index.positions(stored["frame_id"])  # as earlier versions did
            at = np.searchsorted(seen, rows)
            rounds.append(
                {
                    name.removeprefix("task/"): torch.from_numpy(stored[name][at].astype(np.float32))
                    for name in stored.files
                    if name.startswith("task/")
                }
            )
    return rounds
