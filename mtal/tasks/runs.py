"""A mask as runs of equal pixels: some thousands where there are half a million pixels.

Letters: R runs, C classes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Runs(NamedTuple):
    """Pixels in the order of an array, told by where their value changes.

    Args:
        starts: ``[R]`` place of the first pixel of each run, from 0 on, none before the one in front of it. A run that
            begins where the next one does is empty.
        values: ``[R]`` uint8.
        shape: of the array.
    """

    starts: NDArray[np.int64]
    values: NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Runs:
        """The runs of an array that is not empty.

        >>> Runs.of(np.array([[7, 7, 0], [0, 0, 7]], dtype=np.uint8))[:2]
        (array([0, 2, 5]), array([7, 0, 7], dtype=uint8))
        """
        flat = np.ascontiguousarray(pixels).reshape(-1)
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        return cls(starts, flat[starts], pixels.shape)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``[R]`` pixels of each run."""
        return np.diff(self.starts, append=math.prod(self.shape))

    def pixels(self) -> NDArray[np.uint8]:
        """The array."""
        return np.repeat(self.values, self.lengths).reshape(self.shape)


def confusion(truth: Runs, said: Runs, classes: int) -> NDArray[np.int64]:
    """How many pixels have each pair of values, ``[C + 1, C + 1]`` by truth and by what is said.

    Values of C or more, such as 255, are in the last row and column.

    Args:
        truth: of a mask.
        said: of as many pixels.
        classes: C.
    """
    starts = np.concatenate([truth.starts, said.starts])
    order = np.argsort(starts, kind="stable")  # merges the two in linear time
    of_said = order >= len(truth.starts)
    last_said = np.cumsum(of_said) - 1  # −1 for the first one alone, which is empty as both begin at 0
    last_truth = np.arange(len(order)) - last_said - 1
    wanted, answer = np.minimum(truth.values, classes)[last_truth], np.minimum(said.values, classes)[last_said]
    pairs = wanted.astype(np.int64) * (classes + 1) + answer
    lengths = np.diff(starts[order], append=math.prod(truth.shape))
    pixels = np.bincount(pairs, weights=lengths, minlength=(classes + 1) ** 2)  # exact: below 2⁵³
    return pixels.astype(np.int64).reshape(classes + 1, classes + 1)
