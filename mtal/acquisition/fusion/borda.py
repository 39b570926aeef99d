"""Borda count."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.ranks import average_rank


class Borda(Fusion):
    """Σₜ wₜ (N − rankₜ): each head gives a frame one point for every frame it ranks below it.

    Borda, Histoire de l'Académie royale des sciences 1781; for retrieval Aslam and Montague, SIGIR 2001. Ranks count
    from 1 at the highest score; ties share their average rank, so a tie is worth half a point. Cost: T N log N.

    >>> import torch
    >>> Borda()(torch.tensor([[0.9, 0.4], [0.8, 0.5], [0.1, 0.2]])).tolist()
    [3.0, 3.0, 0.0]
    """

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted sum of points, ``[N]``."""
        return (weights * (len(scores) - average_rank(scores, descending=True))).sum(dim=1)  # [N]
