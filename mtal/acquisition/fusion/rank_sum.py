"""Sum of the heads' ranks."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.ranks import average_rank


class RankSum(Fusion):
    """−Σₜ wₜ rankₜ: the frame that stands highest on average over the heads.

    Ranks count from 1 at the highest score; ties share their average rank. Same order as :class:`Borda`, with a utility
    that does not depend on the number of frames. Cost: T N log N.

    >>> import torch
    >>> RankSum()(torch.tensor([[0.9, 0.4], [0.8, 0.5], [0.1, 0.2]])).tolist()
    [-3.0, -3.0, -6.0]
    """

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Minus the weighted sum of ranks, ``[N]``."""
        return -(weights * average_rank(scores, descending=True)).sum(dim=1)  # [N]
