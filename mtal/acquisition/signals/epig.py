"""Information about the answers on other frames."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtal.acquisition.divergence import outcomes
from mtal.acquisition.draw import draw
from mtal.acquisition.signals.base import PoolSignal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.threads import in_pieces
from mtal.tasks.posterior import Family

_NUMBERS = 1 << 17  # pairs of answers held at once: 1 MiB or less, which stays in the processor's cache
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
    (4·C for C² on Bernoulli heads), memory bounded. In float64 where the members are, else in float32, which changes
    values by less than 10⁻⁶.

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
            information = _information(probs[:, :, g], probs[:, chosen[counts], g], family)  # [N]
            total += information.where(weights[:, g] > 0, 0.0) * weights[:, g]
            cells += weights[:, g]
        return total / cells.where(cells > 0, 1.0) / math.log(2 if family == "bernoulli" else C)  # [N]


def _information(pool: Tensor, targets: Tensor, family: Family) -> Tensor:
    """Mean of I(y; y*) over targets and variables: ``[K, N, C]`` and ``[K, T, C]`` to ``[N]`` float64.

    I = Σ p(y) p(y*) u log u of u = p(y, y*)/(p(y) p(y*)), which is 1 and what members' deviations have in common: what
    is small is summed up, no entropies are taken from each other, and float32 will do.
    """
    precision = torch.promote_types(pool.dtype, torch.float32)
    answers = outcomes(targets, family)  # [K, T, V, Y]
    K, T, V, Y = answers.shape
    N = pool.shape[1]
    mean = answers.mean(dim=0)  # [T, V, Y]
    right = (_relative(answers, mean) / K).permute(2, 0, 1, 3).reshape(V, K, T * Y).to(precision)
    right = nn.functional.pad(right, (0, 0, 0, 1), value=1.0)  # [V, K + 1, T·Y]
    weights = mean.transpose(0, 1).reshape(V, T * Y).to(precision) / T
    step = max(1, _NUMBERS // (T * Y))  # rows
    piece = max(1, _PIECES * step // Y)  # frames
    gain = torch.zeros(N, dtype=torch.float64)

    def add(start: int) -> None:
        rows = outcomes(pool[:, start : start + piece], family)  # [K, n, V, Y]
        p = rows.mean(dim=0)  # [n, V, Y]
        left = _relative(rows, p).permute(2, 1, 3, 0).flatten(1, 2).to(precision)
        left = nn.functional.pad(left, (0, 1), value=1.0)  # [V, n·Y, K + 1]
        sums = torch.empty(left.shape[:2], dtype=precision)  # [V, n·Y]
        buffers = torch.empty(2, step, T * Y, dtype=precision)
        for v in range(V):
            for some, total in zip(left[v].split(step), sums[v].split(step), strict=True):
                u, terms = buffers[:, : len(some)]  # [rows, T·Y] each
                torch.mm(some, right[v], out=u)
                u.clamp_(min=torch.finfo(precision).tiny)  # 0·log 0 = 0
                torch.log(u, out=terms)
                torch.mv(terms.mul_(u), weights[v], out=total)
        gain[start : start + piece] = (sums.double().view(V, -1, Y) * p.transpose(0, 1)).sum(dim=(0, 2))

    in_pieces(add, range(0, N, piece))
    return gain.clamp(min=0) / V  # [N]


def _relative(members: Tensor, mean: Tensor) -> Tensor:
    """How far each member is from the mean, as a share of it; 0 where none gives the outcome a chance."""
    return (members - mean) / mean.where(mean > 0, 1.0)
