"""Frames on which a head contradicts what all other heads say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.divergence import jensen_shannon, outcomes
from mtal.acquisition.neighbours import nearest
from mtal.acquisition.predictive import mean_over_sites, predictive_probs
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput

_ROWS = 1024  # frames compared at once, which bounds the memory


class TaskConsistency(PoolSignal):
    """JS(p_t ‖ p̂_t)/log 2, p̂_t what head t says on the k frames labelled for it on which *other* heads say most alike.

    After Hekimoglu et al., WACV 2024, who measure how far a two-stage network moves each task's prediction when it
    refines the first one by the features of all tasks. Heads here are of one stage, so the second opinion is asked of
    the labelled frames: if the other heads find a frame like some labelled ones, this head should answer as it does on
    those. Like is a small squared Hellinger distance of the other heads' posteriors, of which each counts by its say in
    the round (``acquisition.head_weights`` · ``acquisition/weights``). Their diversity, in a distilled space of all
    tasks' features, is that of the heads' joint gradients here (``strategy=task_consistency_diversity``); their loss
    weights per sample are not built.

    Cells are averaged where both sides have one that counts. In [0, 1]; 0 where there is no other head with a label and
    a say, or no labelled frame.

    Cost: O(N·M·T·S·C + N·k·S·C).

    Args:
        k: labelled frames asked for each candidate, 1 or more.

    Raises:
        ValueError: an argument is out of its range.

    >>> hook = HeadOutput("bernoulli", torch.tensor([[[0.0]], [[1.0]]]))
    >>> seen = HeadOutput("bernoulli", torch.tensor([[[1.0]]]))
    >>> view = PoolView(posterior=hook, labelled_posterior=seen, others=(torch.zeros(2, 1), torch.zeros(1, 1)))
    >>> TaskConsistency(k=1)(view).tolist()
    [1.0, 0.0]
    """

    name: ClassVar[str] = "task_consistency"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = frozenset({"posterior", "labelled_posterior", "others"})

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise ValueError(f"k must be 1 labelled frame or more, not {k}")
        self.k = k

    def score(self, view: PoolView) -> Tensor:
        """Divergence from the second opinion, ``[N]``."""
        assert view.posterior is not None
        assert view.labelled_posterior is not None
        assert view.others is not None
        ours, theirs = view.others
        probs = predictive_probs(view.posterior).double().cpu()  # [N, G, C]
        counts = view.labelled_posterior.site_weights.double().cpu()  # [M, G]
        known = counts.any(dim=1).nonzero().flatten()  # labelled for this head
        if not len(probs) or not ours.shape[1] or not len(known):
            return torch.zeros(len(probs), dtype=torch.float64)
        index = known[nearest(ours.double(), theirs[known].double(), self.k)]  # [N, k]
        said = predictive_probs(view.labelled_posterior).double().cpu() * counts[..., None]  # [M, G, C]
        own = view.posterior.site_weights.double().cpu()  # [N, G]
        parts = []
        for start in range(0, len(index), _ROWS):
            rows = slice(start, start + _ROWS)
            weight = counts[index[rows]].sum(dim=1)  # [n, G]
            opinion = said[index[rows]].sum(dim=1) / weight.where(weight > 0, 1.0)[..., None]  # [n, G, C]
            apart = jensen_shannon(probs[rows], opinion, view.posterior.family)  # [n, G]
            parts.append(mean_over_sites(apart, own[rows] * (weight > 0)))
        return torch.cat(parts).clamp(max=1.0)


def answers_of(heads: Mapping[str, HeadOutput], frames: int, say: Mapping[str, float]) -> Tensor:
    """Heads side by side in a space where squared distances are 2 Σ say · mean squared Hellinger, ``[N, P]`` float64.

    Args:
        heads: task to coarse posterior.
        frames: N, for no head.
        say: task to its weight; a head without one is left out.
    """
    columns = [torch.empty(frames, 0, dtype=torch.float64)]
    for task in sorted(heads):
        if say[task] == 0:
            continue
        head = heads[task]
        weight = (head.site_weights / head.total_weight[:, None]).double().cpu()  # [N, G]
        roots = outcomes(predictive_probs(head).cpu(), head.family).sqrt()  # [N, G, V, Y]
        columns.append((roots * (say[task] * weight / roots.shape[2]).sqrt()[..., None, None]).flatten(1))
    return torch.cat(columns, dim=1)
