"""Masks carried from a frame to those after it, by what moved between them.

Letters: K + 1 pictures of H x W pixels in the order in which they are gone through, the first with a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from mtal.datasets.label_map import IGNORE
from mtal.numbers import is_number
from mtal.refusals import refuse

Pictures = npt.NDArray[np.uint8]
"""``[K + 1, H, W, 3]``, or one of them."""
Labels = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
"""``[H, W, 2]``: pixels right and down from each pixel of one picture to where it is in another."""
_SMALLEST = 16  # pixels along a side, below which DIS finds nothing


class Propagator(Protocol):
    """Anything that carries a mask on: an object with ``_target_`` in ``trainer.propagation.by``.

    A video segmenter such as SAM 2 is one when it is started with the first picture and its mask.
    """

    def __call__(self, pictures: Pictures, mask: Labels) -> Labels:
        """Masks of all pictures but the first.

        Args:
            pictures: ``[K + 1, H, W, 3]`` uint8, going away from the labelled one, which is the first; forward in time
                or backward.
            mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1, of the first; 255 is not labelled.

        Returns:
            uint8 ``[K, (C,) H, W]``, 255 where it can't be told.
        """
        ...


@dataclass(frozen=True)
class OpticalFlow:
    """Each pixel takes the label of the one that it was in the picture before; from picture to picture.

    Dense inverse search (Kroeger et al., ECCV 2016) by OpenCV, both ways. A pixel that does not come back to within
    ``tolerance`` of where it started is not labelled, nor is one from outside of the picture (Sundaram et al., ECCV
    2010). A flow is smooth, and goes back and forth where one thing hides another as well, so a pixel whose colour is
    another one than before is not labelled either. What one step loses the next ones do not find again.

    Args:
        tolerance: pixels.
        colour: largest difference of a channel, in the mean of 3 x 3 pixels, of 255.

    Raises:
        ValueError: one of them is no number of at least 0.
    """

    tolerance: float = 0.5
    colour: float = 25.0

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, unit in (("tolerance", "pixels"), ("colour", "gray levels")):
            value = getattr(self, name)
            if not (is_number(value) and value >= 0):
                yield f"trainer.propagation.by.{name} must be a number of {unit} of at least 0, not {value!r}"

    def __call__(self, pictures: Pictures, mask: Labels) -> Labels:
        """See :class:`Propagator`.

        Raises:
            ValueError: pictures are too small for a flow.
        """
        if min(pictures.shape[1:3]) < _SMALLEST:
            raise ValueError(
                f"optical flow needs pictures of at least {_SMALLEST} pixels along each side, not "
                f"{pictures.shape[1]} x {pictures.shape[2]}; set frames.image_size, or trainer.propagation.weight=0"
            )
        carried = np.empty((len(pictures) - 1, *mask.shape), dtype=np.uint8)
        with _one_thread():
            for k, (before, after) in enumerate(pairwise(map(np.ascontiguousarray, pictures))):
                back, forth = flow(_gray(after), _gray(before)), flow(_gray(before), _gray(after))
                mask = carry(mask, back, forth, self.tolerance)
                mask = np.where(recoloured(before, after, back) > self.colour, np.uint8(IGNORE), mask)
                carried[k] = mask
        return carried


def flow(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> Flow:
    """Where each pixel of ``one`` is in ``other``, gray pictures ``[H, W]``."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = search.calc(one, other, None)  # type: ignore[call-overload]  # None for no flow to begin with
    return np.asarray(found, dtype=np.float32)


def carry(mask: Labels, back: Flow, forth: Flow, tolerance: float) -> Labels:
    """``mask [(C,) H, W]`` of a picture, as it is in the next one.

    Args:
        mask: of the first picture.
        back: from each pixel of the next picture to the first.
        forth: from each pixel of the first to the next.
        tolerance: pixels by which the way back and forth may miss.
    """
    H, W = mask.shape[-2:]
    x, y = _was(back)
    at_x, at_y = (np.rint(place).astype(np.int64).clip(0, side - 1) for place, side in ((x, W), (y, H)))
    inside = (x >= -0.5) & (x <= W - 0.5) & (y >= -0.5) & (y <= H - 0.5)
    there = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # [H, W, 2]
    missed = np.hypot(*np.moveaxis(back + there, 2, 0))
    return np.where(inside & (missed <= tolerance), mask[..., at_y, at_x], np.uint8(IGNORE))


def recoloured(before: Pictures, after: Pictures, back: Flow) -> npt.NDArray[np.float32]:
    """How far the colour of each pixel of ``after [H, W, 3]`` is from what it was in ``before``, ``[H, W]`` of 255."""
    was, is_ = (cv2.blur(picture.astype(np.float32), (3, 3)) for picture in (before, after))
    moved = cv2.remap(was, *_was(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.abs(is_ - moved).max(axis=2), dtype=np.float32)


def _was(back: Flow) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Column and row at which each pixel was, ``[H, W]``."""
    rows, columns = np.indices(back.shape[:2], dtype=np.float32)
    return columns + back[..., 0], rows + back[..., 1]


def _gray(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV cuts a picture into as many stripes as there are threads, and finds another flow for each number."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
