"""Scores mapped to [0, 1] by the ends of their possible range."""

from __future__ import annotations

import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer

_SLACK = 1e-6  # float32 rounding of the ends of a range, as a part of the range


class Bounds(Normalizer):
    """(s − low)/(high − low) by the range [low, high] that each signal states, in [0, 1].

    Looks at no other frame: a score means the same in every round, video and pool, and a head that is sure of all
    frames stays near 0 instead of being stretched. A reference and groups change nothing.

    Cost: O(N·T).

    Raises:
        ValueError: no ranges are given, a range is not finite or is empty, or a score lies outside its range.

    >>> Bounds()(torch.tensor([[1.0], [0.0]]), ranges=torch.tensor([[0.0, 4.0]])).flatten().tolist()
    [0.25, 0.0]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores in [0, 1], ``[N, T]``."""
        if ranges is None:
            raise ValueError("Bounds needs the range of every column: pass ranges [T, 2], or normalise with MinMax")
        low, high = ranges.cpu().double().unbind(dim=1)  # [T], [T]
        for t, span in enumerate((high - low).tolist()):
            if not 0 < span < float("inf"):
                raise ValueError(
                    f"Bounds cannot use the range [{low[t]:g}, {high[t]:g}] of column {t}; normalise it with "
                    f"RobustMinMax or PercentileRank, or leave its signal out"
                )
        scaled = (values - low) / (high - low)  # [N, T]
        outside = ((scaled < -_SLACK) | (scaled > 1 + _SLACK)).any(dim=0)  # [T]
        if outside.any():
            t = int(outside.nonzero()[0])
            raise ValueError(
                f"scores of column {t} span [{values[:, t].min():g}, {values[:, t].max():g}], "
                f"outside its range [{low[t]:g}, {high[t]:g}]"
            )
        return torch.clamp(scaled, 0.0, 1.0)
