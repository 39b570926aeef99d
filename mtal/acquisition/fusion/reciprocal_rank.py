"""Reciprocal rank fusion."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.ranks import average_rank


class ReciprocalRank(Fusion):
    """Σₜ wₜ / (k + rankₜ): a frame that several heads rank high beats one that a single head ranks first.

    Cormack, Clarke and Büttcher, SIGIR 2009. Ranks count from 1 at the highest score; ties share their average rank.

    Cost: O(N·T log N).

    Args:
        k: damps the lead of the first ranks; 60 in the paper.

    Raises:
        ValueError: k is negative.

    >>> import torch
    >>> ReciprocalRank(k=1)(torch.tensor([[0.9, 0.1], [0.2, 0.8]])).tolist() == [1 / 2 + 1 / 3] * 2
    True
    """

    def __init__(self, k: float = 60.0) -> None:
        if not k >= 0:
            raise ValueError(f"k of reciprocal rank fusion must be 0 or more, not {k}")
        self.k = k

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Weighted sum of reciprocal ranks, ``[N]``."""
        ranks = average_rank(scores, descending=True)  # [N, T]
        return (weights / ranks.add_(self.k)).sum(dim=1)  # [N]
