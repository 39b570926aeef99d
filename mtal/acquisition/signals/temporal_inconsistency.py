"""Frames on which the head changes its mind from one moment to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.divergence import jensen_shannon
from mtal.acquisition.moments import Moments
from mtal.acquisition.predictive import mean_over_sites, predictive_probs
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.refusals import refuse

Weighting = Literal["equal", "closeness"]
_ROWS = 16_384  # moments compared at once, which bounds the memory


class TemporalInconsistency(PoolSignal):
    """Mean of JS(p_t, p_{t−1}) and JS(p_t, p_{t+1})/log 2: how far it is from the candidates before and after.

    Frames a moment apart show nearly the same scene, so a posterior that jumps is wrong on one side of the jump. In the
    spirit of Bengar et al., ICCV Workshops 2019, who look for detections that no track through the video supports; the
    Jensen–Shannon form, which serves every kind of head, is ours.

    Neighbours are the nearest candidates of the same video on either side, up to ``window_s`` away. Cells are averaged
    where both have a valid one. In [0, 1]; a frame without a neighbour gets 0. Candidates of one moment, should there
    be any, are taken together: they share their mean posterior and their value. Time N log N.

    Cost: O(N log N + N·S·C).

    Args:
        window_s: how many seconds away a neighbour may be, above 0.
        weighting: ``"equal"``, or ``"closeness"`` for weights exp(−Δt/window_s).

    Raises:
        ValueError: an argument is out of its range.

    >>> from mtal.tasks.posterior import HeadOutput
    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.0]], [[1.0]], [[1.0]], [[0.0]]]))
    >>> moments = Moments(np.zeros(4), np.array([0.0, 1.0, 2.0, 60.0]))
    >>> TemporalInconsistency()(PoolView(posterior=head, moments=moments)).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """

    name: ClassVar[str] = "temporal_inconsistency"
    needs: ClassVar[frozenset[str]] = frozenset({"posterior", "moments"})

    def __init__(self, window_s: float = 2.0, weighting: Weighting = "equal") -> None:
        self.window_s = window_s
        self.weighting = weighting
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 < self.window_s < float("inf"):
            yield f"window_s must be above 0 seconds and finite, not {self.window_s}"
        if self.weighting not in ("equal", "closeness"):
            yield f"unknown weighting {self.weighting!r}; weightings are equal and closeness"

    def score(self, view: PoolView) -> Tensor:
        """Mean divergence from the neighbours in time, ``[N]``."""
        assert view.posterior is not None
        assert view.moments is not None
        if not len(view.moments):
            return torch.zeros(0, dtype=torch.float64)
        video, time_s, owner = _distinct(view.moments)  # [A], [A], [N]
        probs, valid = _mean_per_moment(
            predictive_probs(view.posterior).cpu(), view.posterior.site_weights.cpu(), owner, len(video)
        )  # [A, G, C], [A, G]
        apart_s = np.diff(time_s)  # [A − 1]
        near = (np.diff(video) == 0) & (apart_s <= self.window_s * (1 + 1e-9))  # [A − 1]
        weight = np.exp(-apart_s / self.window_s) if self.weighting == "closeness" else np.ones_like(apart_s)
        pairs = torch.from_numpy(np.flatnonzero(near))  # [P]: moment a and moment a + 1
        total = torch.zeros(len(video), dtype=torch.float64)  # [A]
        weights = torch.zeros(len(video), dtype=torch.float64)  # [A]
        for a in pairs.split(_ROWS):
            both = valid[a] * valid[a + 1]  # [P, G]
            divergence = mean_over_sites(jensen_shannon(probs[a], probs[a + 1], view.posterior.family), both)  # [P]
            w = torch.from_numpy(weight)[a] * (both > 0).any(dim=1)  # [P]
            for moment in (a, a + 1):
                total[moment] += w * divergence
                weights[moment] += w
        return (total / weights.where(weights > 0, 1.0))[owner]  # [N]


def _distinct(moments: Moments) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Video and time of the A distinct moments in order, ``[A]`` each, and the moment of each frame, ``[N]``."""
    order = np.lexsort((moments.time_s, moments.video))  # [N]
    video, time_s = moments.video[order], moments.time_s[order]  # [N]
    opens = np.r_[True, (np.diff(video) != 0) | (np.diff(time_s) != 0)]  # [N]
    owner = np.empty(len(order), dtype=np.int64)
    owner[order] = np.cumsum(opens) - 1  # [N]
    return video[opens], time_s[opens], torch.from_numpy(owner)


def _mean_per_moment(probs: Tensor, valid: Tensor, owner: Tensor, moments: int) -> tuple[Tensor, Tensor]:
    """Mean posterior over the cells of each moment's frames, and how much these count: ``[A, G, C]`` and ``[A, G]``."""
    N, G, C = probs.shape
    if moments == N:  # every frame has a moment of its own
        order = owner.argsort()  # [N]
        return probs[order], valid[order]
    total = probs.new_zeros(moments, G, C).index_add_(
        0, owner, probs.where(valid.unsqueeze(2) > 0, 0.0) * valid.unsqueeze(2)
    )
    counts = probs.new_zeros(moments, G).index_add_(0, owner, valid)  # [A, G]
    frames = probs.new_zeros(moments).index_add_(0, owner, torch.ones_like(probs[:, 0, 0]))  # [A]
    return total / counts.where(counts > 0, 1.0).unsqueeze(2), counts / frames.unsqueeze(1)
