"""Information about the answers on other frames."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.divergence import outcomes
from mtal.acquisition.draw import draw
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.threads import in_pieces

_NUMBERS = 1 << 17  # joint probabilities held at once: 1 MiB, which stays in the processor's cache
_PIECES = 16  # so many times in a row by one thread


class Epig(PoolSignal):
    """E_{x*}[I(y; y* | x, x*)]/log C: how much the answer y on this frame would say about those on target frames x*.

    Expected predictive information gain: Bickford Smith, Kirsch, Farquhar, Gal, Foster and Rainforth, AISTATS 2023.
    With K members p(y, y*) = K⁻¹ Σ_k p_k(y|x) p_k(y*|x*), and I = H(p(y)) + H(p(y*)) − H(p(y, y*)).

    What is compared: on pixel heads each cell with the target's same cell, averaged over the candidate's valid cells
    (of the targets those count whose cell is valid); on Bernoulli heads each label with the target's same label,
    divided by log 2 and averaged. In [0, 1]; 0 where the members agree on the candidate or on all targets.

    The targets are drawn from the pool by :func:`~mtal.acquisition.draw.draw` (the members' posteriors and the seed),
    so the order of the frames does not matter and frequent content is drawn often. Time N·n_targets·G·C²·K
    (4·C for C² on Bernoulli heads), memory bounded.

    Cost: O(N·R·K·C²) for R targets.

    Args:
        n_targets: how many frames of the pool stand for those that will be asked about, 1 or more.

    Raises:
        ValueError: ``n_targets`` is below 1.

    >>> from mtal.tasks.posterior import HeadOutput
    >>> sure, torn = [1.0, 0.0], [0.0, 1.0]
    >>> probs = torch.tensor([[[sure], [sure]], [[sure], [torn]]])  # two members, that disagree on the second frame
    >>> value = Epig()(PoolView(members=HeadOutput("categorical", probs)))
    >>> [round(v, 4) for v in value.tolist()]  # one of the two targets is the frame itself
    [0.0, 0.5]
    """

    name: ClassVar[str] = "epig"
    needs: ClassVar[frozenset[str]] = frozenset({"members"})

    def __init__(self, n_targets: int = 100) -> None:
        if n_targets < 1:
            raise ValueError(f"n_targets must be 1 frame or more, not {n_targets}")
        self.n_targets = n_targets

    def score(self, view: PoolView) -> Tensor:
        """Expected predictive information gain, ``[N]``."""
        assert view.members is not None
        probs, family = view.members.probs.detach().cpu(), view.members.family  # [K, N, G, C]
        N, C = probs.shape[1], probs.shape[-1]
        if not N or (family == "categorical" and C == 1):
            return torch.zeros(N, dtype=torch.float64)
        valid, weights = view.members.mask.cpu(), view.members.site_weights.cpu().double()  # [N, G] each
        chosen = draw(probs.transpose(0, 1).flatten(1), self.n_targets, view.seed)  # [T]
        total = torch.zeros(N, dtype=torch.float64)
        cells = torch.zeros(N, dtype=torch.float64)
        for g in range(probs.shape[2]):
            counts = valid[chosen, g]  # [T]
            if not counts.any():
                continue
            targets = outcomes(probs[:, chosen[counts], g], family)  # [K, T, V, Y]
            information = _information(outcomes(probs[:, :, g], family), targets)  # [N]
            total += information.where(weights[:, g] > 0, 0.0) * weights[:, g]
            cells += weights[:, g]
        return total / cells.where(cells > 0, 1.0) / math.log(2 if family == "bernoulli" else C)  # [N]


def _information(pool: Tensor, targets: Tensor) -> Tensor:
    """Mean of I(y; y*) over targets and variables: ``[K, N, V, Y]`` and ``[K, T, V, Y]`` to ``[N]``."""
    K, N, V, Y = pool.shape
    T = targets.shape[1]
    entropy = torch.special.entr(pool.mean(dim=0)).sum(dim=(1, 2))  # [N]
    entropy += torch.special.entr(targets.mean(dim=0)).sum() / T
    right = targets.permute(2, 0, 1, 3).reshape(V, K, T * Y) / K  # [V, K, T·Y]
    step = max(1, _NUMBERS // (Y * T * Y))

    def add(first: int) -> None:
        buffers = torch.empty(2, step * Y, T * Y, dtype=torch.float64)
        for start in range(first, min(first + _PIECES * step, N), step):
            rows = pool[:, start : start + step]  # [K, n, V, Y]
            for v in range(V):
                left = rows[:, :, v].flatten(1).T  # [n·Y, K]
                joint, log = buffers[:, : len(left)]  # [n·Y, T·Y] each
                torch.mm(left, right[v], out=joint)
                joint.clamp_(min=np.finfo(np.float64).tiny)  # 0·log 0 = 0
                torch.log(joint, out=log)
                plogp = np.einsum("ij,ij->i", joint.numpy(), log.numpy())  # [n·Y]
                entropy[start : start + step] += torch.from_numpy(plogp).view(-1, Y).sum(dim=1) / T

    in_pieces(add, range(0, N, _PIECES * step))
    return entropy.clamp(min=0) / V  # [N]
