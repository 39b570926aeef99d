"""Heads take turns."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.order import precedence
from mtal.acquisition.ranks import average_rank


class Alternating(Fusion):
    """−minₜ (rankₜ − 1 + oₜ)/wₜ: the heads' rankings interleaved, each frame where it first comes up.

    Reichart et al., ACL 2008, who let the heads take turns between rounds; here they do within a batch. A head of
    weight 2 comes up twice as often as one of weight 1. oₜ ∈ (0, 1] is the head's place in the order of turns over T:
    heavier first, then by name (by column where no names are given), so that heads of equal weight go
    first, second, …, first, second, … Frames that tie in a head share its average rank. A frame that two heads want
    counts for both.

    Cost: O(N·T log N).

    >>> Alternating()(torch.tensor([[0.9, 0.0], [0.1, 0.1], [0.5, 0.8]])).argsort(descending=True).tolist()
    [0, 2, 1]
    """

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Minus the turn at which a frame first comes up, in units of one round of turns, ``[N]``."""
        turns = precedence(weights, tasks)
        ranks = average_rank(scores, descending=True)  # [N, T]
        place = torch.zeros_like(weights)  # [T]
        place[turns] = torch.arange(1, len(turns) + 1, dtype=torch.float64) / len(turns)
        due = (ranks - 1 + place)[:, turns] / weights[turns]  # [N, heads]
        return -due.amin(dim=1)  # [N]
