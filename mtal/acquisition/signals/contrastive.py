"""Frames that look like labelled ones to the encoder and unlike them to the head."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mtal.acquisition.divergence import outcomes
from mtal.acquisition.neighbours import most_alike
from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.refusals import refuse
from mtal.tasks.posterior import Family

_ROWS = 4096  # frames compared at once, which bounds the memory


class Contrastive(PoolSignal):
    """k⁻¹ Σ_{n ∈ kNN(x)} KL(p_n ‖ p_x) over the k frames n labelled for the head, of nearest L2-normalised features.

    CAL: Margatina, Vernikos, Barrault and Aletras, EMNLP 2021. Neighbours are sought among the frames alone that have a
    label of this head, so a candidate is never its own neighbour; with fewer than k of them all are neighbours, with
    none every frame gets 0. A Bernoulli head's divergence is the mean over its labels of the binary ones. Cells are
    averaged where both frames have a valid one; a neighbour that shares none has no say.

    Linear in p_n and in Σ p_n log p_n, so both are averaged over the neighbours before they meet log p_x. Time N·M·D
    for the neighbours of N candidates among M labelled frames of D features, then N·k·G·C.

    In [0, ∞), at most log(1/eps): every outcome is kept at a probability of eps or more, for one impossible outcome
    would be infinitely contrastive.

    Cost: O(N·M·D + N·k·S·C).

    Args:
        k: labelled neighbours of each candidate, 1 or more.
        eps: smallest probability of an outcome, above 0 and at most 0.1; probabilities are then scaled to sum to 1.

    Raises:
        ValueError: an argument is out of its range.

    >>> from mtal.tasks.posterior import HeadOutput
    >>> pool = HeadOutput("categorical", torch.tensor([[[0.5, 0.5]], [[0.9, 0.1]]]))
    >>> labelled = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]]]))
    >>> view = PoolView(torch.ones(2, 3), torch.ones(1, 3), posterior=pool, labelled_posterior=labelled)
    >>> [round(value, 4) for value in Contrastive()(view).tolist()]  # 0.9 log(0.9/0.5) + 0.1 log(0.1/0.5), 0
    [0.3681, 0.0]
    """

    name: ClassVar[str] = "contrastive"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"features", "labelled_features", "posterior", "labelled_posterior"})

    def __init__(self, k: int = 10, eps: float = 1e-6) -> None:
        self.k = k
        self.eps = eps
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.k < 1:
            yield f"k must be 1 neighbour or more, not {self.k}"
        if not 0 < self.eps <= 0.1:
            yield f"eps must be a probability above 0 and at most 0.1, not {self.eps}"

    def score(self, view: PoolView) -> Tensor:
        """Mean divergence from the labelled neighbours, ``[N]``."""
        assert view.features is not None
        assert view.labelled_features is not None
        assert view.posterior is not None
        assert view.labelled_posterior is not None
        p_valid = view.labelled_posterior.site_weights.cpu().double()  # [M, G]
        known = p_valid.any(dim=1).nonzero().flatten()  # labelled for this head
        if not len(view.features) or not len(known):
            return torch.zeros(len(view.features), dtype=torch.float64)
        index = known[most_alike(view.features, view.labelled_features[known], self.k)]  # [N, k]
        family = view.posterior.family
        p = self._above_zero(predictive_probs(view.labelled_posterior), family)  # [M, G, V, Y]
        table = torch.cat([p.flatten(2), (p * p.log()).sum(dim=(2, 3)).unsqueeze(2)], dim=2)  # [M, G, V·Y + 1]
        table = table * p_valid.unsqueeze(2)
        parts = []
        probs, valid = predictive_probs(view.posterior), view.posterior.site_weights  # [N, G, C], [N, G]
        for start in range(0, len(index), _ROWS):
            rows = slice(start, start + _ROWS)
            q = self._above_zero(probs[rows], family)  # [n, G, V, Y]
            parts.append(_mean_divergence(table, p_valid, q, valid[rows].cpu().double(), index[rows]))  # [n]
        return torch.cat(parts)  # [N]

    def _above_zero(self, probs: Tensor, family: Family) -> Tensor:
        """Distributions without a 0, ``[N, G, C]`` to ``[N, G, V, Y]`` float64."""
        kept = outcomes(probs.cpu(), family).clamp(min=self.eps)  # [N, G, V, Y]
        return kept / kept.sum(dim=-1, keepdim=True)


def _mean_divergence(table: Tensor, p_valid: Tensor, q: Tensor, q_valid: Tensor, index: Tensor) -> Tensor:
    """Mean KL(p ‖ q) over neighbours, shared valid cells and variables, ``[n]``.

    Args:
        table: ``[M, G, V·Y + 1]`` outcomes of the labelled frames and their Σ p log p, 0 at invalid cells.
        p_valid: ``[M, G]`` of the labelled frames.
        q: ``[n, G, V, Y]`` of the candidates.
        q_valid: ``[n, G]`` of the candidates.
        index: ``[n, k]`` neighbours among the labelled frames.
    """
    shared = torch.einsum("nkg,ng->nk", p_valid[index], q_valid)  # [n, k]: cells valid in both
    neighbours = (shared > 0).sum(dim=1, keepdim=True)  # [n, 1]
    weight = torch.where(shared > 0, 1 / (shared * neighbours), 0.0)  # [n, k]
    mean = embedding_bag(index, table.flatten(1), mode="sum", per_sample_weights=weight)  # [n, G·(V·Y + 1)]
    against = torch.cat([-q.log().flatten(2), torch.ones_like(q_valid).unsqueeze(2)], dim=2)  # [n, G, V·Y + 1]
    divergence = (mean.view_as(against) * against).sum(dim=2)  # [n, G]
    return (divergence * q_valid).sum(dim=1).clamp(min=0) / q.shape[2]  # [n]
