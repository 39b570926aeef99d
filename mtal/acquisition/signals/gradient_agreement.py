"""Whether the heads would move the shared encoder the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mtal.acquisition.signals.base import JointSignal
from mtal.acquisition.signals.joint_gradient_norm import same_size_gradients
from mtal.tasks.posterior import HeadOutput

Preference = Literal["agreement", "conflict"]


class GradientAgreement(JointSignal):
    """½(1 + mean_{t < u} cos(g_t, g_u)) over the pairs of heads, or ½(1 − …) where conflicts are preferred.

    g_t is the shared-representation gradient. ``"agreement"``: a frame whose labels move the encoder one way for all
    heads teaches them all at once, so it is worth more. ``"conflict"``: a frame on which the heads pull the encoder
    apart (Yu et al., NeurIPS 2020) is one that they do not understand alike, so its labels settle more. A gradient of 0
    has the cosine 0 with any other; with one head there is no pair and all frames get ½. In [0, 1].

    Cost: O(N·T²·D) after the heads' shared gradients.

    Args:
        prefer: ``"agreement"`` or ``"conflict"``: which frames are more worth labelling.

    Raises:
        ValueError: the preference is unknown, or the gradients differ in size.

    >>> def head(*gradient):
    ...     return HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([gradient]))
    >>> GradientAgreement()({"tools": head(3.0, 0.0), "anatomy": head(0.0, 2.0)}).tolist()
    [0.5]
    """

    name: ClassVar[str] = "gradient_agreement"
    needs: ClassVar[frozenset[str]] = frozenset({"shared_gradient"})

    def __init__(self, prefer: Preference = "agreement") -> None:
        if prefer not in ("agreement", "conflict"):
            raise ValueError(f"unknown preference {prefer!r}; prefer is agreement or conflict")
        self.prefer = prefer

    def score(self, heads: Mapping[str, HeadOutput]) -> Tensor:
        """Mean cosine mapped to [0, 1], ``[N]``."""
        gradients = torch.stack(list(same_size_gradients(heads).values()))  # [T, N, D]
        norms = torch.linalg.vector_norm(gradients, dim=2, keepdim=True)  # [T, N, 1]
        directions = gradients / norms.where(norms > 0, 1.0)  # [T, N, D]
        twice_cosines = directions.sum(dim=0).square().sum(dim=1) - directions.square().sum(dim=(0, 2))  # [N]
        T = len(gradients)
        cosine = twice_cosines / max(T * (T - 1), 1)  # [N]: mean over the T(T − 1)/2 pairs
        return (1 + cosine) / 2 if self.prefer == "agreement" else (1 - cosine) / 2
