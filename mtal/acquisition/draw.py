"""Draws of frames that do not depend on the order of the frames.

Letters: N frames, D numbers per frame.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_ROWS = 4096  # frames copied at once, which bounds the memory


def content_hash(rows: Tensor, seed: int) -> npt.NDArray[np.uint64]:
    """blake2b(seed, xᵢ) of the float32 numbers of each row of ``[N, D]``: ``[N]``, equal for equal rows.

    The same on every machine and for every order of the rows. Two different rows share a hash with probability 2⁻⁶⁴.
    """
    hashes, opening = np.empty(len(rows), dtype=np.uint64), _opening(seed)
    for start in range(0, len(rows), _ROWS):
        numbers = (rows[start : start + _ROWS].detach().cpu().float() + 0.0).contiguous().numpy()  # -0 becomes 0
        hashes[start : start + _ROWS] = [_number(opening, row.data) for row in numbers]
    return hashes


def draw(rows: Tensor, size: int, seed: int) -> Tensor:
    """Positions of ``size`` of the rows of ``[N, D]`` in ascending order, of all of them where N ≤ size: int64.

    Those of the smallest hashes, so the same rows whatever order they come in and none likelier than another. Each copy
    of a row has a hash of its own: a frame that is there a thousand times is neither drawn whole nor left out whole.

    >>> x = torch.arange(6.0).unsqueeze(1)
    >>> torch.equal(x[draw(x, 3, seed=0)], x.flip(0)[draw(x.flip(0), 3, seed=0)].flip(0))
    True
    """
    if len(rows) <= size:
        return torch.arange(len(rows))
    return draw_order(rows, seed)[:size].sort().values


def draw_order(rows: Tensor, seed: int) -> Tensor:
    """The positions of ``[N, D]`` in the order in which :func:`draw` takes them: ``[N]`` int64.

    Whoever draws from many parts of the rows needs a single pass over the numbers.

    >>> x = torch.arange(6.0).unsqueeze(1)
    >>> torch.equal(draw_order(x, seed=0)[:3].sort().values, draw(x, 3, seed=0))
    True
    """
    hashes = content_hash(rows, seed)  # [N]
    order = np.argsort(hashes, kind="stable")  # [N]: equal rows side by side
    opens = np.r_[True, np.diff(hashes[order]) != 0][: len(order)]  # [N]: begins a run of equal rows
    place = np.arange(len(rows))
    copy = place - np.maximum.accumulate(np.where(opens, place, 0))  # [N]: equal rows before this one
    own = hashes[order]  # [N]
    for i in np.flatnonzero(copy):
        own[i] = _number(_opening(seed), own[i].tobytes() + copy[i].tobytes())
    return torch.from_numpy(order[np.argsort(own, kind="stable")])


def _opening(seed: int) -> blake2b:
    """What every hash of a seed begins with."""
    return blake2b(f"{seed}\0".encode(), digest_size=8)


def _number(opening: blake2b, content: bytes | memoryview) -> int:
    own = opening.copy()
    own.update(content)
    return int.from_bytes(own.digest(), "big")
