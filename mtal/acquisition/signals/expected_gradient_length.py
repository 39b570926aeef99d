"""Expected length of the gradient that a label would cause in a head's last layer."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mtal.acquisition.gradients import sq_feature_norm
from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.signals.base import Signal
from mtal.tasks.posterior import HeadOutput

Kind = Literal["length", "rms"]
MAX_ENUMERATED = 12
"""Bernoulli heads with more classes have too many label sets (2^C) to enumerate."""
_CHUNK = 1024  # frames enumerated at once: 1024 · 2¹² numbers


class ExpectedGradientLength(Signal):
    """E_y‖∂L/∂W‖ for y ~ p, in closed form and without a backward pass; W is the last layer, bias included.

    Settles, Craven and Ray, NIPS 2007. With h the features, a 1 appended for the bias:

    - categorical, one site: Σ_y p_y‖p − e_y‖·‖h‖;
    - Bernoulli, one site, C ≤ 12: Σ_y Π_c p_c^{y_c}(1 − p_c)^{1 − y_c}·‖p − y‖·‖h‖ over all 2^C label sets;
    - more classes, or S > 1 sites under a mean loss with independent labels: the root mean square
      √(Ω⁻² Σ_s ω_s² ‖h_s‖² Σ_c p_sc(1 − p_sc)), Ω = Σ ω_s. The cross terms between sites vanish because E[p − y] = 0.

    :meth:`kind_for` says which one a head gets; it is the same for all frames of a head. The Bernoulli loss sums over
    classes. A frame without a valid site gets 0. In [0, ∞).

    Cost: O(N·S·(C + D)), for the length of a Bernoulli head O(N·2^C).

    Args:
        kind: ``"length"`` takes the length wherever it is exact as above, ``"rms"`` the root mean square everywhere.

    Raises:
        ValueError: the kind is unknown.

    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.5]], [[1.0]]]), features=torch.ones(2, 1, 3))
    >>> ExpectedGradientLength()(head).tolist()  # ½·‖(1, 1, 1, 1)‖
    [1.0, 0.0]
    """

    name: ClassVar[str] = "expected_gradient_length"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(self, kind: Kind = "length") -> None:
        if kind not in ("length", "rms"):
            raise ValueError(f"unknown kind {kind!r} of expected gradient length; kinds are length and rms")
        self.kind = kind

    def kind_for(self, head: HeadOutput) -> Kind:
        """``"length"`` or ``"rms"``: what the frames of this head are given."""
        S, C = head.probs.shape[-2:]
        exact = S == 1 and (head.family == "categorical" or C <= MAX_ENUMERATED)
        return "length" if self.kind == "length" and exact else "rms"

    def score(self, head: HeadOutput) -> Tensor:
        """Expected gradient length, or its root mean square, ``[N]``."""
        probs = predictive_probs(head)  # [N, S, C]
        sq_h = sq_feature_norm(head)  # [N, S], 0 at sites that do not count
        if self.kind_for(head) == "length":
            expected = _categorical_length if head.family == "categorical" else _bernoulli_length
            return expected(probs[:, 0]) * sq_h[:, 0].sqrt()  # [N]
        variance = (probs * (1 - probs)).sum(dim=-1)  # [N, S]: E‖p − y‖², which is 1 − ‖p‖² for one-of-C labels
        shares = head.site_weights / head.total_weight.unsqueeze(1)  # [N, S]
        return (shares.square() * sq_h * variance).sum(dim=1).sqrt()  # [N]


def _categorical_length(probs: Tensor) -> Tensor:
    """Σ_y p_y‖p − e_y‖, ``[N, C]`` to ``[N]``.

    Σ_{c ≠ y} p_c² and 1 − p_y = Σ_{c ≠ y} p_c are summed over the other classes: of a sure frame the whole less its
    largest part would leave rounding. Sums from both ends give them in time C.
    """
    squares = _of_the_others(probs.square()) + _of_the_others(probs).square()  # [N, C]
    return (probs * squares.sqrt()).sum(dim=-1)  # [N]


def _of_the_others(values: Tensor) -> Tensor:
    """Σ_{c ≠ y} v_c for every y, ``[N, C]``."""
    before = torch.zeros_like(values)  # [N, C]
    before[:, 1:] = values[:, :-1].cumsum(dim=-1)
    behind = torch.zeros_like(values)  # [N, C]
    behind[:, :-1] = values.flip(-1)[:, :-1].cumsum(dim=-1).flip(-1)
    return before + behind


def _bernoulli_length(probs: Tensor) -> Tensor:
    """Σ_y P(y)‖p − y‖ over the 2^C label sets, ``[N, C]`` to ``[N]``."""
    parts = []
    for p in probs.split(_CHUNK):
        weight = torch.ones_like(p[:, :1])  # [n, 1]
        sq_residual = torch.zeros_like(weight)  # [n, 1]
        for c in range(p.shape[1]):
            p_c = p[:, c : c + 1]  # [n, 1]
            weight = torch.cat([weight * p_c, weight * (1 - p_c)], dim=1)  # [n, 2^(c+1)]
            sq_residual = torch.cat([sq_residual + (1 - p_c).square(), sq_residual + p_c.square()], dim=1)
        parts.append((weight * sq_residual.sqrt()).sum(dim=1))  # [n]
    return torch.cat(parts) if parts else probs.new_zeros(0)  # [N]
