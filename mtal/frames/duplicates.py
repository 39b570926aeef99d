"""Near-duplicates by perceptual hash, at a cost that does not grow with the video."""

from __future__ import annotations

from collections import deque

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image


class RecentPictures:
    """Hashes of the last pictures kept, to tell whether a new one is much like one of them.

    The hash is the DCT hash (pHash) of Zauner, "Implementation and benchmarking of perceptual image hash functions",
    2010, with 16 × 16 coefficients: 256 bits tell a tool that enters from the noise of a camera, 64 do not.

    Args:
        window: how many pictures are remembered.
    """

    def __init__(self, window: int) -> None:
        self._hashes: deque[NDArray[np.bool_]] = deque(maxlen=window)
        self._new: NDArray[np.bool_] | None = None

    def distance(self, picture: NDArray[np.uint8]) -> int | None:
        """Bits of 256 by which the picture ``[H, W, 3]`` differs from the nearest one kept; ``None`` for the first."""
        self._new = np.asarray(imagehash.phash(Image.fromarray(picture), hash_size=16).hash).ravel()  # [256]
        if not self._hashes:
            return None
        return int((np.stack(self._hashes) != self._new).sum(axis=1).min())

    def keep(self) -> None:
        """Remember the picture that was last compared."""
        if self._new is not None:
            self._hashes.append(self._new)
