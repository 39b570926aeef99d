"""Frames that a classifier tells from the labelled ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from mtal.acquisition.draw import draw
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.refusals import refuse

_ROWS = 4096  # frames asked at once, which bounds the memory


class Discriminative(PoolSignal):
    """P(pool | x) under a logistic regression that tells the pool from the labelled frames by the shared features.

    Gissin and Shalev-Shwartz, arXiv:1907.06347, 2019. Features are standardised, both sides weigh the same however many
    frames they have, and the weights have a Gaussian prior. In [0, 1]: ½ is as likely labelled as not. With nothing
    labelled there is nothing to tell apart and every frame gets 1.

    At most ``max_fit`` frames of each side are learnt from, which bounds memory and time; larger sides are drawn from
    by :func:`~mtal.acquisition.draw.draw` (content and seed), so the order of the frames does not matter. Every
    candidate is asked.

    Cost: O(N·D) and one logistic regression.

    Args:
        max_fit: most frames of each side to learn from, 1 or more.
        inverse_regularization: variance of the prior of each weight, above 0; scikit-learn's ``C``.

    Raises:
        ValueError: an argument is out of its range.

    >>> view = PoolView(torch.tensor([[0.0], [9.0]]), torch.tensor([[0.0], [1.0]]))
    >>> like_labelled, unlike = Discriminative()(view)
    >>> bool(like_labelled < 0.5 < unlike)
    True
    """

    name: ClassVar[str] = "discriminative"
    per_head: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"features", "labelled_features"})

    def __init__(self, max_fit: int = 10_000, inverse_regularization: float = 1.0) -> None:
        self.max_fit = max_fit
        self.inverse_regularization = inverse_regularization
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.max_fit < 1:
            yield f"max_fit must be 1 frame or more of each side, not {self.max_fit}"
        if not 0 < self.inverse_regularization < float("inf"):
            yield f"inverse_regularization must be above 0 and finite, not {self.inverse_regularization}"

    def score(self, view: PoolView) -> Tensor:
        """Probability of being of the pool, ``[N]``."""
        assert view.features is not None
        assert view.labelled_features is not None
        pool, labelled = view.features.detach().cpu(), view.labelled_features.detach().cpu()
        if not len(pool) or not len(labelled):
            return torch.ones(len(pool), dtype=torch.float64)
        sides = [side[draw(side, self.max_fit, view.seed)].double() for side in (labelled, pool)]
        x = torch.cat(sides)  # [n, D]
        centre = x.mean(dim=0)  # [D]
        spread = x.std(dim=0, correction=0)  # [D]
        spread = spread.where(spread > 0, 1.0)
        model = LogisticRegression(C=self.inverse_regularization, class_weight="balanced", tol=1e-6, max_iter=1000)
        model.fit(((x - centre) / spread).numpy(), np.repeat([0, 1], [len(side) for side in sides]))
        weights = torch.from_numpy(model.coef_[0]) / spread  # [D]
        logits = [((rows.double() - centre) * weights).sum(dim=1) for rows in pool.split(_ROWS)]
        return (torch.cat(logits) + float(model.intercept_[0])).sigmoid()  # [N]
