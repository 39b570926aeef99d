"""Copeland's rule: duels between frames, decided by a majority of heads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, hardshrink

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.order import precedence
from mtal.acquisition.ranks import average_rank
from mtal.refusals import refuse

_ONE = 2**20  # all weights together, as a whole number: sums of float32 are exact
_OPPONENTS = 256
_FRAMES = 4096


class Copeland(Fusion):
    """#{j: i beats j} − #{j: j beats i}, i beats j if Σₜ wₜ sign(sᵢₜ − sⱼₜ) > 0: duels won less duels lost.

    Copeland 1951; Saari and Merlin, Economic Theory 1996. A frame that beats every other, where there is one, comes
    first. Only the order within each head counts. Weights are rounded to a millionth of their sum, and a duel is drawn
    if no more than that speaks for either frame.

    In a pool above ``exact_up_to`` every frame meets the same M = ``opponents`` frames instead of all. In the order of
    Borda counts the pool is cut at N (k/M)², so finer towards the top, where frames are picked; the middle frame of
    each piece meets all and counts as often as the piece has frames. Which these are depends on the scores alone, not
    on the order of the frames. Cost: N² T up to ``exact_up_to``, beyond it N M T.

    Args:
        exact_up_to: largest pool in which every frame meets every other.
        opponents: frames that each meets in a larger pool, 2 or more.

    Raises:
        ValueError: an argument is too small.

    >>> Copeland()(torch.tensor([[0.9, 0.1, 0.6], [0.5, 0.5, 0.5], [0.1, 0.9, 0.4]])).tolist()
    [2.0, 0.0, -2.0]
    """

    def __init__(self, exact_up_to: int = 20_000, opponents: int = 2_000) -> None:
        self.exact_up_to = exact_up_to
        self.opponents = opponents
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.exact_up_to < 0:
            yield f"exact_up_to of Copeland's rule must be 0 frames or more, not {self.exact_up_to}"
        if self.opponents < 2:
            yield f"opponents of Copeland's rule must be 2 frames or more, not {self.opponents}"

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Duels won less duels lost, ``[N]``."""
        heads = precedence(weights, tasks)
        scores, weights = scores[:, heads], weights[heads] / weights.sum()
        if len(scores) <= max(self.exact_up_to, self.opponents):
            return _duels(scores, weights, scores, torch.ones(len(scores)))
        chosen, stand_for = _field(scores, weights, self.opponents)
        return _duels(scores, weights, scores[chosen], stand_for)


def _field(scores: Tensor, weights: Tensor, opponents: int) -> tuple[Tensor, Tensor]:
    """Which frames all meet, and how many each stands for: ``[M]``, ``[M]``."""
    ranks = average_rank(scores, descending=True)  # [N, T]
    by_borda = np.lexsort((*ranks.numpy().T[::-1], (weights * ranks).sum(dim=1).numpy()))  # [N], best first
    number = np.arange(opponents + 1)
    edges = np.maximum(number, len(scores) * (number / opponents) ** 2).astype(np.int64)  # [M + 1]
    places, stand_for = (edges[:-1] + edges[1:]) // 2, np.diff(edges)  # [M]
    return torch.from_numpy(by_borda[places]), torch.from_numpy(stand_for).float()


def _duels(scores: Tensor, weights: Tensor, opponents: Tensor, stand_for: Tensor) -> Tensor:
    """Won less lost against M opponents, ``[N]``.

    Among opponents sorted by a head, a frame's place says whom it beats there, so the say of that head in all duels is
    one row of a table, and the margins are sums of T rows. Blocks of opponents keep the tables in the cache.
    """
    N, T = scores.shape
    say = (weights * _ONE).round().float()  # [T]
    ordered = opponents.T.contiguous().sort(dim=1).values  # [T, M]
    frames = _places(ordered, scores.T.contiguous())  # [T, N]
    theirs = _places(ordered, opponents.T.contiguous())  # [T, M]
    every = torch.arange(2 * len(opponents) + 1).expand(T, -1).contiguous()  # [T, 2M + 1]
    won = torch.zeros(N, dtype=torch.float64)
    for start in range(0, len(opponents), _OPPONENTS):
        block = theirs[:, start : start + _OPPONENTS].contiguous()  # [T, B]
        coarse = _places(block.sort(dim=1).values, every)  # [T, 2M + 1], 0 to 2B: the place among the block alone
        rows = 2 * block.shape[1] + 1
        table = torch.sign(torch.arange(rows)[None, :, None] - coarse.gather(1, block)[:, None])  # [T, rows, B]
        table = (say[:, None, None] * table).flatten(0, 1)  # [T · rows, B]
        keys = coarse.gather(1, frames) + rows * torch.arange(T)[:, None]  # [T, N]
        keys = keys.T.int().contiguous()  # [N, T]
        for at in range(0, N, _FRAMES):
            margin = embedding_bag(keys[at : at + _FRAMES], table, mode="sum")  # [n, B]
            outcome = hardshrink(margin, T).sign_()  # [n, B]: T covers the rounding of the weights
            won[at : at + _FRAMES] += outcome @ stand_for[start : start + _OPPONENTS]
    return won


def _places(ordered: Tensor, values: Tensor) -> Tensor:
    """How many of ``ordered`` are below plus how many are not above, ``[T, M], [T, N]`` to ``[T, N]``, 0 to 2M."""
    return torch.searchsorted(ordered, values) + torch.searchsorted(ordered, values, right=True)
