"""Posteriors small enough to be kept for every frame of the pool."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mtal.tasks.posterior import HeadOutput


def coarse_posterior(head: HeadOutput, cells: int = 4) -> HeadOutput:
    """Σ_{s ∈ g} ω_s p_s / Σ_{s ∈ g} ω_s over the sites of each cell g: ``[(K,) N, S, C]`` to ``[(K,) N, G, C]``.

    A pixel head is averaged over a grid of cells × cells (a side of fewer sites keeps its sites); cell i of a side of h
    sites takes the sites ⌊i·h/cells⌋ to ⌈(i + 1)·h/cells⌉, so neighbouring cells share a site where h is not divisible.
    A cell without a site that counts is invalid and holds 0. Where sites count in part, a cell counts as much as they
    do on average; where each counts in full or not at all, so does a cell with any that counts. A frame head (S = 1) is
    kept as it is. Probabilities become float32, features are dropped.

    Args:
        head: of any family, with or without members, which stay apart.
        cells: along each side of the frame, 1 or more.

    Raises:
        ValueError: ``cells`` is below 1, or a pixel head does not say its grid.

    >>> head = HeadOutput("bernoulli", torch.arange(16).reshape(1, 16, 1) / 16, grid=(4, 4))
    >>> coarse_posterior(head, cells=2).probs.flatten().tolist()  # ¼(0 + 1 + 4 + 5)/16, ¼(2 + 3 + 6 + 7)/16, …
    [0.15625, 0.28125, 0.65625, 0.78125]
    """
    if cells < 1:
        raise ValueError(f"cells must be 1 or more along each side of the frame, not {cells}")
    if head.probs.shape[-2] == 1:
        return replace(head, probs=head.probs.float(), features=None)
    if head.grid is None:
        raise ValueError(f"the head has {head.probs.shape[-2]} sites but no grid; give HeadOutput.grid=(rows, columns)")
    size = (min(cells, head.grid[0]), min(cells, head.grid[1]))
    if head.valid is None:
        return replace(head, probs=_pooled(head.probs, head.grid, size), features=None, grid=size)
    counts = head.site_weights.unsqueeze(-1)  # [N, S, 1]
    share = _pooled(counts, head.grid, size)  # [N, G, 1]: part of the cell that counts
    mean = _pooled(head.probs * counts, head.grid, size) / share.clamp(
        min=torch.finfo(share.dtype).tiny
    )  # [(K,) N, G, C]
    valid = share[..., 0] > 0 if head.valid.dtype == torch.bool else share[..., 0].clamp(max=1.0)  # [N, G]
    return replace(head, probs=mean.clamp(max=1.0), valid=valid, features=None, grid=size)


def _pooled(values: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Mean over each cell, valid or not: ``[..., S, C]`` to ``[..., G, C]`` float32."""
    *lead, _, classes = values.shape
    values = values if values.dtype == torch.float64 else values.float()
    image = values.reshape(math.prod(lead), *grid, classes).permute(0, 3, 1, 2)  # [B, C, h, w]
    pooled = adaptive_avg_pool2d(image, size)  # [B, C, rows, columns]
    return pooled.permute(0, 2, 3, 1).reshape(*lead, size[0] * size[1], classes).float()
