"""Heads draft frames in turn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.order import distinct_rows, precedence
from mtal.acquisition.ranks import average_rank


class QuotaDraft(Fusion):
    """−turn at which the frame is drafted; head t has its k-th turn at (k − ½)/wₜ and drafts its best frame left.

    Turns are the seats of Webster's method (also Sainte-Laguë's; Balinski and Young, Fair Representation, 1982), so
    after any number of turns each head has drafted in proportion to its weight, to the nearest frame or so. Where turns
    fall together the heavier head goes first, then by name (by column where no names are given). Among frames that a
    head scores the same it drafts the one with the better weighted sum of ranks over all heads. Equal frames are
    drafted together and take one turn.

    In :class:`~mtal.acquisition.fusion.Alternating` a frame that two heads want counts for both, so a head that agrees
    with the others is served by their turns; here a frame counts only for the head that drafts it, and each head gets
    its quota in frames of its own choice. Cost: T N log N.

    >>> scores = torch.tensor([[0.9, 0.8], [0.8, 0.1], [0.5, 0.7], [0.1, 0.5]])
    >>> QuotaDraft()(scores, torch.tensor([2.0, 1.0])).neg().tolist()
    [0.0, 2.0, 1.0, 3.0]
    """

    def fuse(self, scores: Tensor, weights: Tensor, tasks: tuple[str, ...] | None) -> Tensor:
        """Minus the turn, from 0, ``[N]``."""
        heads = precedence(weights, tasks)
        weights = weights[heads] / weights[heads].sum()
        rows, which = distinct_rows(scores[:, heads].numpy())  # [U, T], [N]
        ranks = average_rank(torch.from_numpy(rows), descending=True)  # [U, T]
        agreed = np.lexsort((-np.arange(len(rows)), (weights * ranks).sum(dim=1).numpy()))  # [U], best first
        wishes = [agreed[(-column[agreed]).argsort(kind="stable")] for column in rows.T]  # T × [U], best first
        turns = _turns(weights.numpy(), len(rows))  # [U]
        return -torch.from_numpy(_drafted(wishes, turns))[which].double()


def _turns(shares: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.int64]:
    """Whose turn it is, ``[number]``, for heads in the order that settles ties."""
    T = len(shares)
    most = np.ceil((number + T) * shares).astype(np.int64) + 1  # [T]
    heads = np.repeat(np.arange(T), most)
    due = np.concatenate([(np.arange(n) + 0.5) / share for n, share in zip(most, shares, strict=True)])
    return heads[np.lexsort((heads, due.round(9)))][:number]  # rounded, or turns that fall together would not


def _drafted(wishes: list[npt.NDArray[np.int64]], turns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Turn at which each of U frames is drafted, ``[U]``."""
    left = [iter(wish.tolist()) for wish in wishes]
    drafted = [-1] * len(turns)
    for turn, head in enumerate(turns.tolist()):
        frame = next(i for i in left[head] if drafted[i] < 0)
        drafted[frame] = turn
    return np.array(drafted)
