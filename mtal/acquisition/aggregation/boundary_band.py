"""The sites along the borders between predicted classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from mtal.acquisition.aggregation.base import SiteAggregation, weighted_mean
from mtal.tasks.posterior import HeadOutput


class BoundaryBand(SiteAggregation):
    """Σ_{s ∈ B} ω_s v_s / Σ_{s ∈ B} ω_s over the band B of sites that lie near one predicted as another class.

    Near is a distance of at most d = width · min(rows, columns) sites, the larger of the steps along rows and columns.
    Where d is not whole, sites at the distance ⌈d⌉ count with the weight d − ⌊d⌋, so the band is as wide a part of the
    picture at any resolution at which d ≥ 1; it cannot be narrower than one site. Borders are where most of the labour
    of a mask lies. A frame of one predicted class gets 0. On a Bernoulli head two sites are of another class if they
    differ in any label with p > ½. Sites that are not more likely labelled than not make no border.

    Cost: O(N·S·w) for a band of w cells.

    Args:
        width: of the band on each side of a border, as part of the grid's shorter side; above 0 and at most 1.

    Raises:
        ValueError: the width is out of range, or a head with several sites has no grid.

    >>> import torch
    >>> probs = torch.tensor([[[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]] * 3])
    >>> head = HeadOutput("categorical", probs, grid=(3, 3))
    >>> BoundaryBand(1 / 3)(torch.tensor([[1.0, 0.5, 0.0] * 3]), head).tolist()  # columns two and three
    [0.25]
    """

    def __init__(self, width: float = 0.05) -> None:
        if not 0 < width <= 1:
            raise ValueError(f"width must lie above 0 and at most at 1, not {width}; it is a part of the shorter side")
        self.width = width

    def aggregate(self, values: Tensor, counts: Tensor, head: HeadOutput) -> Tensor:
        """Mean over the band, ``[N]``."""
        if head.grid is None:
            raise ValueError("the boundary band needs HeadOutput.grid: give the head's (rows, columns)")
        if head.family == "categorical":
            answers = head.likeliest.unsqueeze(1)  # [N, 1, S]
        else:
            answers = (head.predictive > 0.5).transpose(1, 2)  # [N, C, S]
        answers = answers.to(values).unflatten(2, head.grid)  # [N, 1 or C, rows, columns]
        valid = head.mask.unflatten(1, head.grid).unsqueeze(1)  # [N, 1, rows, columns]
        distance = self.width * min(head.grid)
        whole = math.floor(distance)
        part = distance - whole
        weights = part * _near_another(answers, valid, whole + 1).to(values)  # [N, S]
        if whole:
            weights = weights + (1 - part) * _near_another(answers, valid, whole).to(values)
        return weighted_mean(values, weights * counts)


def _near_another(answers: Tensor, valid: Tensor, radius: int) -> Tensor:
    """Valid sites with another answer among the valid sites at most ``radius`` away, ``[N, S]`` bool."""
    highest = _window_max(answers.masked_fill(~valid, -math.inf), radius)  # [N, 1 or C, rows, columns]
    lowest = -_window_max((-answers).masked_fill(~valid, -math.inf), radius)
    return ((highest > lowest) & valid).any(dim=1).flatten(1)  # the site itself lies between the two


def _window_max(maps: Tensor, radius: int) -> Tensor:
    """Largest value at most ``radius`` rows and columns away, same shape; by shifts, ten times as fast as pooling."""
    for dim in (2, 3):
        padded = pad(maps, (0, 0, radius, radius) if dim == 2 else (radius, radius), value=-math.inf)
        size = maps.shape[dim]
        maps = padded.narrow(dim, 0, size)
        for shift in range(1, 2 * radius + 1):
            maps = torch.maximum(maps, padded.narrow(dim, shift, size))
    return maps
