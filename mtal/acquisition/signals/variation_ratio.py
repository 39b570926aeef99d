"""How many members are outvoted."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal
from mtal.acquisition.signals.votes import share_of_votes, share_of_yes


class VariationRatio(SiteSignal):
    """(1 − n_mode/K)/(1 − ⌈K/C⌉/K): share of the K members that do not give the commonest answer, over its maximum.

    Freeman, Elementary Applied Statistics 1965; Gal, Islam and Ghahramani, ICML 2017. A member answers argmax pₖ, or
    [pₖ > ½] to a Bernoulli label (C = 2 answers). The fewest votes that win are ⌈K/C⌉, so 1 is a vote split as evenly
    as K members can split it and 0 a unanimous one; mean over valid sites. In [0, 1], at a site in steps of
    1/(K − ⌈K/C⌉).

    Cost: O(K·N·S·C).

    >>> from mtal.tasks.posterior import HeadOutput
    >>> members = torch.tensor([0.9, 0.6, 0.8, 0.1])[:, None, None, None]
    >>> VariationRatio()(HeadOutput("bernoulli", members)).tolist()  # one of four, of at most two
    [0.5]
    """

    name: ClassVar[str] = "variation_ratio"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """Share of the minority over its maximum, ``[K, N, S, C]`` to ``[N, S, C]``."""
        yes = share_of_yes(probs)  # [N, S, C]
        return torch.minimum(yes, 1 - yes) / _largest(len(probs), answers=2)

    def categorical(self, probs: Tensor) -> Tensor:
        """Share outside the mode over its maximum, ``[K, N, S, C]`` to ``[N, S]``."""
        return (1 - share_of_votes(probs).amax(dim=-1)) / _largest(len(probs), answers=probs.shape[-1])


def _largest(members: int, answers: int) -> float:
    return 1 - math.ceil(members / answers) / members
