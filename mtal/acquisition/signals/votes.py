"""Members that each name one answer.

Letters: K members, N frames, S sites per frame, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.tasks.posterior import likeliest_class, mean_over_members


def share_of_yes(probs: Tensor) -> Tensor:
    """K⁻¹ Σₖ [pₖ > ½] of each Bernoulli label, ``[K, …]`` to ``[…]``.

    >>> share_of_yes(torch.tensor([[0.9], [0.5], [0.6], [0.1]])).tolist()
    [0.5]
    """
    return mean_over_members((probs > 0.5).to(probs.dtype))


def share_of_votes(probs: Tensor) -> Tensor:
    """K⁻¹ Σₖ [argmax pₖ = c], ``[K, N, S, C]`` to ``[N, S, C]``; of equals the lowest class gets the vote.

    >>> share_of_votes(torch.tensor([[[[0.5, 0.5]]], [[[0.4, 0.6]]], [[[0.9, 0.1]]], [[[0.7, 0.3]]]])).tolist()
    [[[0.75, 0.25]]]
    """
    votes = torch.zeros_like(probs[0])  # [N, S, C]
    one = torch.ones_like(votes[..., :1])  # [N, S, 1]
    for p in probs:
        votes.scatter_add_(-1, likeliest_class(p).unsqueeze(-1), one)
    return votes / len(probs)
