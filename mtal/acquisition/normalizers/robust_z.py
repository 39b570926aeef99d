"""Scores standardised by statistics that outliers hardly move."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer, active_columns, exceeds_rounding

_MEDIAN_TO_STD = 1.482602218505602  # 1/Φ⁻¹(¾): a normal's std over its median absolute deviation
_MEAN_TO_STD = math.sqrt(math.pi / 2)  # 1.2533: a normal's std over its mean absolute deviation


class RobustZ(Normalizer):
    """(s − median)/(1.4826·MAD), MAD = median |s − median|; 0 everywhere in a constant column.

    Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993. The scale is that of a normal distribution's
    standard deviation. Where more than half of a varying column is one number, MAD is 0 and 1.2533 times the mean of
    |s − median| takes its place.

    Cost: O(N·T log N).

    >>> RobustZ()(torch.tensor([[1.0], [2.0], [3.0], [4.0], [99.0]])).flatten().round(decimals=2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 64.75]
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Scores with median 0 and about the spread of a standard normal, ``[N, T]``."""
        columns = np.ascontiguousarray(reference.numpy().T)  # [T, R]
        median = torch.from_numpy(np.median(columns, axis=1))  # [T]
        deviation = np.abs(columns - median.numpy()[:, None])  # [T, R]
        by_median = _MEDIAN_TO_STD * torch.from_numpy(np.median(deviation, axis=1))  # [T]
        by_mean = _MEAN_TO_STD * torch.from_numpy(deviation.mean(axis=1))  # [T]
        scale = torch.where(exceeds_rounding(by_median, median.abs()), by_median, by_mean)  # [T]
        active = active_columns(reference)  # [T]
        return torch.where(active, (values - median) / torch.where(active, scale, 1.0), 0.0)
