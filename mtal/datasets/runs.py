"""A mask as runs of equal pixels: some thousands where there are half a million pixels.

Letters: R runs, N frames, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Starts = NDArray[np.signedinteger[Any]]


class Runs(NamedTuple):
    """Pixels in the order of an array, told by where their value changes.

    Args:
        starts: ``[R]`` place of the first pixel of each run, from 0 on, none before the one in front of it. A run that
            begins where the next one does is empty.
        values: ``[R]`` uint8.
        shape: of the array.
    """

    starts: Starts
    values: NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Runs:
        """The runs of an array that is not empty.

        >>> Runs.of(np.array([[7, 7, 0], [0, 0, 7]], dtype=np.uint8))[:2]
        (array([0, 2, 5], dtype=int32), array([7, 0, 7], dtype=uint8))
        """
        flat = np.ascontiguousarray(pixels).reshape(-1)
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        return cls(starts.astype(np.int32), flat[starts], pixels.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.starts.nbytes + self.values.nbytes

    @property
    def lengths(self) -> Starts:
        """``[R]`` pixels of each run."""
        return np.diff(self.starts, append=math.prod(self.shape))

    @classmethod
    def joined(cls, several: Sequence[Runs]) -> Runs:
        """The runs of N arrays of one shape, one after the other, ``[N, …]``."""
        size = math.prod(several[0].shape)
        starts = np.concatenate([runs.starts.astype(np.int64) + k * size for k, runs in enumerate(several)])
        return cls(starts, np.concatenate([runs.values for runs in several]), (len(several), *several[0].shape))

    def pixels(self) -> NDArray[np.uint8]:
        """The array."""
        return np.repeat(self.values, self.lengths).reshape(self.shape)


def confusion(truth: Runs, said: Runs, classes: int) -> NDArray[np.int64]:
    """How many pixels of each frame have each pair of values, ``[N, C + 1, C + 1]`` by truth and by what is said.

    Values of C or more, such as 255, are in the last row and column.

    Args:
        truth: of ``[N, …]`` masks. No run reaches into the next frame, as in :meth:`joined`.
        said: of as many pixels, likewise.
        classes: C.
    """
    N, K = truth.shape[0], classes + 1
    starts = np.concatenate([truth.starts, said.starts])
    order = np.argsort(starts, kind="stable")  # merges the two in linear time
    of_said = order >= len(truth.starts)
    last_said = np.cumsum(of_said) - 1  # −1 for the first one alone, which is empty as both begin at 0
    last_truth = np.arange(len(order)) - last_said - 1
    wanted, answer = np.minimum(truth.values, classes)[last_truth], np.minimum(said.values, classes)[last_said]
    starts = starts[order]
    lengths = np.diff(starts, append=math.prod(truth.shape))
    frame = np.minimum(starts // math.prod(truth.shape[1:]), N - 1)  # an empty run may stand at the very end
    pairs = (frame * K + wanted) * K + answer
    pixels = np.bincount(pairs, weights=lengths, minlength=N * K**2)  # exact: below 2⁵³
    return pixels.astype(np.int64).reshape(N, K, K)
