"""Scores as they are."""

from __future__ import annotations

from torch import Tensor

from mtal.acquisition.normalizers.base import Normalizer


class Identity(Normalizer):
    """s: for a single head, or signals known to share a unit.

    Raw scores of different signals must not be added: the one with the largest numbers takes every pick.

    Cost: O(N·T).
    """

    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """The same scores, ``[N, T]``."""
        return values.clone()
