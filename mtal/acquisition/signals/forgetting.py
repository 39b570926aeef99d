"""Frames whose answer does not settle from round to round."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mtal.acquisition.divergence import jensen_shannon, outcomes
from mtal.acquisition.predictive import mean_over_sites, predictive_probs
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import Family

Kind = Literal["flips", "drift"]
_ROWS = 16_384  # frames compared at once, which bounds the memory


class Forgetting(PoolSignal):
    """R⁻¹ Σ_r u(p_r, p_{r+1}) over the R pairs of consecutive rounds, the running one last; mean over valid cells.

    - ``"flips"``: u = 1 where the head's own answer changed, ŷ = argmax p on categorical heads; on Bernoulli ones the
      share of labels whose [p > ½] changed. Toneva et al., ICLR 2019, count answers that go from right to wrong; frames
      without a label can only show that the answer changed (as in Bengar, Raducanu and van de Weijer, CAIP 2021).
    - ``"drift"``: u = JS(p_r, p_{r+1})/log 2, which also sees a posterior that moves without crossing over. Huang et
      al., ICCV 2021, measure the same movement as a Euclidean distance of outputs.

    In [0, 1]. Before there is an earlier round every frame gets 0. Time R·N·G·C.

    Cost: O(R·N·S·C) over R rounds.

    Args:
        kind: ``"flips"`` or ``"drift"``.

    Raises:
        ValueError: the kind is unknown.

    >>> from mtal.tasks.posterior import HeadOutput
    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.9]], [[0.9]]]))
    >>> previous = (torch.tensor([[[0.8]], [[0.2]]]), torch.tensor([[[0.2]], [[0.3]]]))
    >>> Forgetting()(PoolView(posterior=head, previous=previous)).tolist()  # yes no yes, no no yes
    [1.0, 0.5]
    """

    name: ClassVar[str] = "forgetting"
    needs: ClassVar[frozenset[str]] = frozenset({"posterior", "previous"})

    def __init__(self, kind: Kind = "flips") -> None:
        if kind not in ("flips", "drift"):
            raise ValueError(f"unknown kind {kind!r} of forgetting; kinds are flips and drift")
        self.kind = kind

    def score(self, view: PoolView) -> Tensor:
        """Mean change between consecutive rounds, ``[N]``."""
        assert view.posterior is not None
        assert view.previous is not None
        change = jensen_shannon if self.kind == "drift" else _flips
        family, valid = view.posterior.family, view.posterior.site_weights.cpu()  # [N, G]
        rounds = [*(p.detach().cpu() for p in view.previous), predictive_probs(view.posterior).cpu()]  # each [N, G, C]
        total = torch.zeros(len(valid), dtype=torch.float64)
        for earlier, later in pairwise(rounds):
            pieces = zip(earlier.split(_ROWS), later.split(_ROWS), valid.split(_ROWS), strict=True)
            total += torch.cat([mean_over_sites(change(p, q, family), counts) for p, q, counts in pieces])
        return total / max(1, len(view.previous))  # [N]


def _flips(p: Tensor, q: Tensor, family: Family) -> Tensor:
    """Share of variables whose likeliest outcome changed, two ``[..., C]`` to ``[...]`` float64."""
    p, q = outcomes(p, family), outcomes(q, family)  # [..., V, Y]; a label at ½ counts as absent, the first outcome
    return (p.argmax(dim=-1) != q.argmax(dim=-1)).double().mean(dim=-1)
