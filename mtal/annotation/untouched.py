"""Masks that are said to be done and are as they were handed out."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from mtal.annotation.mask_files import digest
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.refusals import first_of


class Untouched:
    """Counts them: each may be right, and each may be one that nobody has looked at."""

    def __init__(self) -> None:
        self._looked_at = 0
        self._drawn: list[str] = []
        self._empty: list[str] = []

    def look(self, where: str, label_map: LabelMap, label: npt.NDArray[np.uint8], handed_out: str | None) -> None:
        """Take note of a mask.

        Args:
            where: what to call it.
            label_map: of its head.
            label: ``[H, W]`` or ``[C, H, W]``, as it came back.
            handed_out: digest of what was handed out; ``None`` where nobody knows.
        """
        self._looked_at += 1
        if handed_out == digest(label):
            is_empty = (label == IGNORE).all() if label_map.exclusive else not label.any()
            (self._empty if is_empty else self._drawn).append(where)

    def tell(self) -> None:
        """Warn of them."""
        if self._drawn:
            warnings.warn(
                f"{len(self._drawn)} of {self._looked_at} masks that are done now came back exactly as the model drew "
                f"them ({first_of(self._drawn)}). They count as labels; correct those that nobody looked at, which the "
                "next command takes in",
                stacklevel=2,
            )
        if self._empty:
            warnings.warn(
                f"{len(self._empty)} of {self._looked_at} masks that are done now came back as empty as they were "
                f"handed out ({first_of(self._empty)}). They say that nothing can be told, or, of classes with a mask "
                "each, that none is there; draw those that were forgotten, which the next command takes in",
                stacklevel=2,
            )
