"""What the label would say about the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal
from mtal.acquisition.signals.entropy import bernoulli_entropy, categorical_entropy
from mtal.tasks.posterior import mean_over_members


class Bald(SiteSignal):
    """I(y; k) = H(K⁻¹ Σₖ pₖ) − K⁻¹ Σₖ H(pₖ), over log C or log 2 per Bernoulli label; mean over valid sites.

    Houlsby et al., arXiv 2011; Gal, Islam and Ghahramani, ICML 2017. The mutual information of the answer and the
    member that gives it: 0 where all members say the same, however unsure they are; never negative. Each site by
    itself: nothing of the pool is taken off. In [0, 1], and at most log K/log C.

    Cost: O(K·N·S·C).

    >>> import torch
    >>> members = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]], [[[0.0, 1.0], [0.5, 0.5]]]])  # they differ at one site
    >>> from mtal.tasks.posterior import HeadOutput
    >>> Bald()(HeadOutput("categorical", members)).tolist()
    [0.5]
    """

    name: ClassVar[str] = "bald"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def bernoulli(self, probs: Tensor) -> Tensor:
        """I(y; k)/log 2, ``[K, N, S, C]`` to ``[N, S, C]``."""
        return mutual_information(probs, bernoulli_entropy)

    def categorical(self, probs: Tensor) -> Tensor:
        """I(y; k)/log C, ``[K, N, S, C]`` to ``[N, S]``."""
        return mutual_information(probs, categorical_entropy)


def mutual_information(probs: Tensor, entropy: Callable[[Tensor], Tensor]) -> Tensor:
    """H(K⁻¹ Σₖ pₖ) − K⁻¹ Σₖ H(pₖ) ≥ 0, ``[K, …]`` to what ``entropy`` makes of ``[…]``.

    Member by member, so nothing of the size of all members is made.

    >>> import torch
    >>> mutual_information(torch.tensor([[0.0], [1.0], [0.0], [1.0]]), bernoulli_entropy).tolist()
    [1.0]
    """
    within = entropy(probs[0])  # [N, S] or [N, S, C]
    for p in probs[1:]:
        within += entropy(p)
    return (entropy(mean_over_members(probs)) - within / len(probs)).clamp(min=0.0)
