"""Non-dominated sorting of as many frames as are needed."""

from __future__ import annotations

import moocore
import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.ranks import average_rank

_FEW = 100_000
_MANY_HEADS = 6  # of independent scores among which most frames are in a few vast fronts


def leading_fronts(scores: npt.NDArray[np.float64], depth: int, sort_whole_up_to: int = _FEW) -> npt.NDArray[np.int64]:
    """Front of each frame, from 0, and −1 behind the fronts of the first ``depth`` frames: ``[N, T]`` to ``[N]``.

    A frame dominates another if it is nowhere lower and somewhere higher. Front 0 is what no frame dominates, front
    k + 1 what no frame dominates once the fronts up to k are taken away. The fronts that the first ``depth`` frames are
    in are given whole and are exact.

    They are found without sorting the rest: there is a rank that ``depth`` frames reach with every head. A frame that
    reaches it with no head is dominated by all of these, so it stands behind them and is left out. What is kept holds
    every frame that dominates one of the kept, so its fronts are those of the whole pool. With six heads or more,
    among which nearly no frame dominates another, the 100,000 of the kept that stand highest on average are placed: a
    frame stands higher than those it dominates, so these fronts are exact as well, but are not given whole.

    Args:
        scores: ``[N, T]``, higher = better.
        depth: number of frames to place, 1 or more.
        sort_whole_up_to: kept frames of four heads or more that are sorted at once instead of front by front, and most
            kept frames of six heads or more.

    >>> leading_fronts(np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.5], [0.1, 0.1]]), depth=3).tolist()
    [0, 0, 1, -1]
    """
    fronts = np.full(len(scores), -1, dtype=np.int64)  # [N]
    kept = np.arange(len(scores))
    if len(scores) > depth:
        ranks = average_rank(torch.from_numpy(scores), descending=True).numpy()  # [N, T]
        level = np.partition(ranks.max(axis=1), depth - 1)[depth - 1]
        kept = np.flatnonzero(ranks.min(axis=1) <= level)
        if scores.shape[1] >= _MANY_HEADS and len(kept) > sort_whole_up_to:
            mean = ranks[kept].mean(axis=1)  # [kept]
            kept = kept[mean <= np.partition(mean, sort_whole_up_to - 1)[sort_whole_up_to - 1]]
    if scores.shape[1] <= 3 or len(kept) <= sort_whole_up_to:
        found = moocore.pareto_rank(scores[kept], maximise=True)  # [kept]
        enough = np.searchsorted(np.bincount(found).cumsum(), depth)
        fronts[kept] = np.where(found <= enough, found, -1)
        return fronts
    placed = front = 0
    while placed < depth and len(
        kept
    ):  # the sort at once would look for all fronts, of which many heads need only a few
        best = moocore.is_nondominated(scores[kept], maximise=True, keep_weakly=True)  # [kept]
        fronts[kept[best]] = front
        placed, front, kept = placed + int(best.sum()), front + 1, kept[~best]
    return fronts
