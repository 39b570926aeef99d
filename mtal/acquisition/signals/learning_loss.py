"""The loss that a loss-prediction module expects."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from mtal.acquisition.signals.base import Signal
from mtal.tasks.posterior import HeadOutput


class LearningLoss(Signal):
    """max(0, L̂): the loss of the frame as a module trained beside the head predicts it.

    Yoo and Kweon, CVPR 2019. The module is trained on which of two frames has the larger loss, so its unit is its own.
    Ours predicts 0 or more; of another, less than 0 counts as 0. A frame without a site that is more likely labelled
    than not gets 0. In [0, ∞).

    Cost: O(N).

    >>> import torch
    >>> head = HeadOutput("bernoulli", torch.full((2, 1, 1), 0.5), predicted_loss=torch.tensor([0.75, -0.25]))
    >>> LearningLoss()(head).tolist()
    [0.75, 0.0]
    """

    name: ClassVar[str] = "learning_loss"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"predicted_loss"})

    def score(self, head: HeadOutput) -> Tensor:
        """Predicted loss, ``[N]``."""
        assert head.predicted_loss is not None  # checked by the base
        return head.predicted_loss.detach().clamp(min=0.0).where(head.mask.any(dim=1), 0.0)
