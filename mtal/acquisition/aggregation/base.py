"""What an aggregation promises: values in a range stay in it, and sites that do not count have no say."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from mtal.tasks.posterior import HeadOutput


class SiteAggregation(ABC):
    """``[N, S]`` to ``[N]`` over the valid sites; a frame without a site that counts gets 0.

    With one site per frame every aggregation gives that site's value (0 where it is not valid). The number of sites
    does not matter: a map and the same map at twice the resolution get the same value.
    """

    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Value of each frame, ``[N]``.

        Args:
            values: ``[N, S]``, one per site; what stands at invalid sites is not looked at.
            head: where the values come from.
        """
        mask = head.mask  # [N, S]
        values = values.where(mask, 0.0)
        return values[:, 0] if values.shape[1] == 1 else self.aggregate(values, mask, head)

    @abstractmethod
    def aggregate(self, values: Tensor, mask: Tensor, head: HeadOutput) -> Tensor:
        """Value of each frame from S ≥ 2 sites, ``[N, S]`` (0 at invalid sites) and ``[N, S]`` bool to ``[N]``."""


class LabelAggregation(ABC):
    """``[N, S, C]`` to ``[N, S]`` over the C independent labels of each site."""

    @abstractmethod
    def __call__(self, values: Tensor, head: HeadOutput) -> Tensor:
        """Value of each site, ``[N, S]``."""
