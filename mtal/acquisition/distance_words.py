"""Which head a gradient distance is made of, for the reasons of picks that went by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mtal.acquisition.gradients import JointGradientEmbedding


def distance_words(embedding: JointGradientEmbedding, picks: Sequence[int], because: str) -> dict[int, str]:
    """Pick → ``because`` and which head most of its squared distance to the nearest earlier pick is of.

    Nothing is said of the first pick, and of those that an earlier one is equal to.

    Args:
        embedding: of the N candidates.
        picks: positions in order of choice.
        because: why the selector picks.
    """
    rows = torch.tensor(list(picks), dtype=torch.int64)
    by_head = {}
    for task, scale in embedding.scales.items():
        block = embedding.blocks[task].take(rows)
        by_head[task] = scale * block.sq_distances(block).double().numpy()  # [P, P]
    total = np.sum(list(by_head.values()), axis=0)
    told = {}
    for k in range(1, len(picks)):
        nearest = int(total[k, :k].argmin())
        if total[k, nearest] > 0:
            shares = {task: float(sq[k, nearest] / total[k, nearest]) for task, sq in by_head.items()}
            task = max(shares, key=lambda name: shares[name])
            told[int(picks[k])] = f"{because}: {100 * shares[task]:.0f} % of the distance to the nearest is of {task}"
    return told
