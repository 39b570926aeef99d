"""How far a committee is from one opinion."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor

from mtal.acquisition.aggregation import LabelAggregation, SiteAggregation
from mtal.acquisition.predictive import surprise
from mtal.acquisition.signals.bald import bernoulli_information, categorical_information
from mtal.acquisition.signals.base import SiteSignal
from mtal.acquisition.signals.entropy import bernoulli_entropy
from mtal.acquisition.signals.votes import share_of_votes, share_of_yes

Kind = Literal["vote_entropy", "consensus_kl"]


class Disagreement(SiteSignal):
    """H(votes)/log min(K, C), or K⁻¹ Σₖ KL(pₖ ‖ p̄)/log C, of a committee of K members; mean over valid sites.

    - ``"vote_entropy"``, Dagan and Engelson, ICML 1995: each member votes for argmax pₖ, or [pₖ > ½] on a Bernoulli
      label (C = 2 answers). 1 is as many different answers as there can be, equally often.
    - ``"consensus_kl"``, McCallum and Nigam, ICML 1998: p̄ is the mean of the members. This mean divergence equals
      H(p̄) − K⁻¹ Σₖ H(pₖ), so it is :class:`~mtal.acquisition.signals.Bald` under its older name; take one of the two.

    In [0, 1]: 0 where all agree.

    Cost: O(K·N·S·C).

    Args:
        kind: ``"vote_entropy"`` or ``"consensus_kl"``.
        sites: how the valid sites of a pixel head become one value; the mean by default.
        labels: how the labels of a Bernoulli site become one value; the mean by default.

    Raises:
        ValueError: the kind is unknown.

    >>> import torch
    >>> from mtal.tasks.posterior import HeadOutput
    >>> members = torch.tensor([0.9, 0.6, 0.2, 0.1])[:, None, None, None]
    >>> Disagreement()(HeadOutput("bernoulli", members)).tolist()  # two against two
    [1.0]
    """

    name: ClassVar[str] = "disagreement"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def __init__(
        self,
        kind: Kind = "vote_entropy",
        sites: SiteAggregation | None = None,
        labels: LabelAggregation | None = None,
    ) -> None:
        if kind not in ("vote_entropy", "consensus_kl"):
            raise ValueError(f"unknown kind {kind!r} of disagreement; kinds are vote_entropy and consensus_kl")
        super().__init__(sites, labels)
        self.kind = kind

    def bernoulli(self, probs: Tensor) -> Tensor:
        """Disagreement on each label, ``[K, N, S, C]`` to ``[N, S, C]``."""
        if self.kind == "consensus_kl":
            return bernoulli_information(probs)
        return bernoulli_entropy(share_of_yes(probs))  # log min(K, 2) = log 2

    def categorical(self, probs: Tensor) -> Tensor:
        """Disagreement at each site, ``[K, N, S, C]`` to ``[N, S]``."""
        if self.kind == "consensus_kl":
            return categorical_information(probs)
        answers = min(len(probs), probs.shape[-1])
        return surprise(share_of_votes(probs)).sum(dim=-1) / math.log(answers)  # [N, S]
