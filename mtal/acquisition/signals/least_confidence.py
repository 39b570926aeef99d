"""Least confidence."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.signals.base import SiteSignal


class LeastConfidence(SiteSignal):
    """(1 − max p)·C/(C − 1) at a categorical site, 2·min(p, 1 − p) per Bernoulli label; mean over valid sites.

    Lewis and Gale, SIGIR 1994. In [0, 1]: 1 for a uniform posterior whatever C, 0 for a certain one.

    Cost: O(N·S·C).

    >>> from mtal.tasks.posterior import HeadOutput
    >>> LeastConfidence()(HeadOutput("categorical", torch.tensor([[[0.5, 0.25, 0.25]], [[1.0, 0.0, 0.0]]]))).tolist()
    [0.75, 0.0]
    """

    name: ClassVar[str] = "least_confidence"

    def bernoulli(self, probs: Tensor) -> Tensor:
        """2·min(p, 1 − p), ``[N, S, C]`` to ``[N, S, C]``."""
        return 2 * torch.minimum(probs, 1 - probs)

    def categorical(self, probs: Tensor) -> Tensor:
        """(1 − max p)·C/(C − 1), ``[N, S, C]`` to ``[N, S]``."""
        C = probs.shape[-1]
        return torch.rsub(probs.amax(dim=-1), 1).mul_(C / (C - 1))  # [N, S]
