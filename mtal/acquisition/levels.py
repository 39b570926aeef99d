"""From normalised columns to one utility: the signals of each head first, then the heads; or all columns at once.

Letters: N frames, T columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.normalizers.base import Normalizer
from mtal.acquisition.score_table import Column


def fuse_heads(
    columns: Sequence[Column],
    scores: Tensor,
    weights: Tensor,
    say: Mapping[str, float],
    signal_fusion: Fusion,
    fusion: Fusion,
    normalizer: Normalizer,
) -> Tensor:
    """The signals of each head first, then the heads: ``[N]``, 0 where no head has a say.

    Args:
        columns: T pairs (task, signal).
        scores: ``[N, T]``, normalised.
        weights: ``[T]`` weight of each column within its head, 0 for an inactive one.
        say: task to its weight; a head without an active column has none.
        signal_fusion: fuses the signals of a head; one signal alone stands for its head as it is.
        fusion: fuses the heads.
        normalizer: brings a head's fused score back to the unit of the columns where ``signal_fusion`` leaves it, by
            the frames that are fused: ranks and points have no range of their own, and no first round to compare with.
    """
    heads, head_weights = score_heads(columns, scores, weights, say, signal_fusion, normalizer)
    if not head_weights.any():
        return torch.zeros(len(scores), dtype=torch.float64)
    return fusion(heads, head_weights, tuple(say))  # [N]


def score_heads(
    columns: Sequence[Column],
    scores: Tensor,
    weights: Tensor,
    say: Mapping[str, float],
    signal_fusion: Fusion,
    normalizer: Normalizer,
) -> tuple[Tensor, Tensor]:
    """One score of each of H heads and its weight: ``[N, H]`` and ``[H]``. For the arguments see :func:`fuse_heads`."""
    heads, head_weights = [], []
    for task, weight in say.items():
        mine = [i for i, (owner, _) in enumerate(columns) if owner == task]
        names = tuple(columns[i][1] for i in mine)
        heads.append(_fuse_signals(scores[:, mine], weights[mine], names, signal_fusion, normalizer))
        head_weights.append(weight if weights[mine].any() else 0.0)
    return torch.stack(heads, dim=1), torch.tensor(head_weights).double()


def fuse_columns(
    columns: Sequence[Column], scores: Tensor, weights: Tensor, say: Mapping[str, float], fusion: Fusion
) -> Tensor:
    """All columns at once, a head's weight shared among its active columns: ``[N]``; 0 where no head has a say.

    The rule knows the columns by the name ``<task>/<signal>``. For the arguments see :func:`fuse_heads`.
    """
    shares = torch.zeros_like(weights)  # [T]
    for task, weight in say.items():
        mine = torch.tensor([owner == task for owner, _ in columns])
        total = float(weights[mine].sum())
        shares[mine] = weights[mine] * (weight / total if total else 0.0)
    if not shares.any():
        return torch.zeros(len(scores), dtype=torch.float64)
    return fusion(scores, shares, tuple(f"{task}/{name}" for task, name in columns))


def _fuse_signals(
    scores: Tensor, weights: Tensor, names: tuple[str, ...], signal_fusion: Fusion, normalizer: Normalizer
) -> Tensor:
    """One score of a head, in the unit of the normalised columns: ``[N, signals]`` to ``[N]``."""
    speaking = weights > 0  # [signals]
    if not speaking.any():
        return torch.zeros(len(scores), dtype=torch.float64)
    if int(speaking.sum()) == 1:
        return scores[:, speaking][:, 0]
    fused = signal_fusion(scores, weights, names)[:, None]  # [N, 1]
    if not signal_fusion.keeps_unit:
        low, high = torch.aminmax(fused)
        ends = torch.stack([low, high if high > low else low + 1])[None]  # a head that tells no frames apart is at 0
        fused = normalizer(fused, ranges=ends)
    return fused[:, 0]
