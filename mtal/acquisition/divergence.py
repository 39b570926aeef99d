"""Posteriors as distributions over outcomes, and how far two of them are apart.

Letters: C classes, V variables of Y outcomes each: a categorical site is one variable of C outcomes, a Bernoulli site
C variables of two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mtal.tasks.posterior import Family


def outcomes(probs: Tensor, family: Family) -> Tensor:
    """Distribution of each variable: ``[..., C]`` to ``[..., V, Y]`` float64, absent before present.

    One-of-C probabilities are scaled to sum to 1, which rounded ones do not; those of an invalid cell may all be 0.

    >>> outcomes(torch.tensor([0.25, 1.0]), "bernoulli").tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    probs = probs.double()
    if family == "bernoulli":
        return torch.stack([1 - probs, probs], dim=-1)
    total = probs.sum(dim=-1, keepdim=True)
    return (probs / total.where(total > 0, 1.0)).unsqueeze(-2)


def jensen_shannon(p: Tensor, q: Tensor, family: Family) -> Tensor:
    """(H(½(p + q)) − ½H(p) − ½H(q))/log 2 in [0, 1], mean over variables: two ``[..., C]`` to ``[...]`` float64.

    Lin, IEEE Transactions on Information Theory 1991. 0 for equal posteriors, 1 for those that share no outcome.

    >>> jensen_shannon(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]), "bernoulli").item()
    0.5
    """
    p, q = outcomes(p, family), outcomes(q, family)  # [..., V, Y]
    entropy = torch.special.entr
    divergence = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2  # [..., V, Y]
    return divergence.sum(dim=-1).mean(dim=-1).clamp(min=0) / math.log(2)
