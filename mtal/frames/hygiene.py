"""Which sampled frames are not worth a surgeon's minute, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import gt, lt

import numpy as np
from numpy.typing import NDArray

from mtal.frames.duplicates import RecentPictures
from mtal.frames.picture_quality import brightness, few_colours, flesh, reduced, sharpness
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse

REASONS = ("near_black", "overlay", "blurred", "out_of_body", "near_duplicate")
"""In the order they are looked for; the first that holds is the one given."""


@dataclass(frozen=True)
class Fault:
    """Why a frame is dropped: what was measured, and the threshold that it passed."""

    reason: str
    value: float
    threshold: float


@dataclass(frozen=True)
class Hygiene:
    """Thresholds of what is dropped; ``None`` switches a reason off. :mod:`mtal.frames.picture_quality` measures.

    The defaults err on the side of keeping: a useless frame costs a click, a lost one may be the only clipper.

    Args:
        near_black: least brightness.
        overlay: most share of the picture in four colours.
        blurred: least sharpness.
        out_of_body: least share of flesh colours.
        near_duplicate: bits of 256 by which a frame must at least differ from those kept lately.
        window: how many kept frames of the video a frame is compared with.

    Raises:
        ValueError: thresholds are out of range, or no numbers.
    """

    near_black: float | None = 0.15
    overlay: float | None = 0.6
    blurred: float | None = 0.015
    out_of_body: float | None = 0.2
    near_duplicate: int | None = 10
    window: int = 8

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, most in zip(REASONS, (1, 1, np.inf, 1, 256), strict=True):
            threshold = getattr(self, name)
            if threshold is not None and not (is_number(threshold) and 0 <= threshold <= most):
                yield f"hygiene: {name}={threshold} must lie between 0 and {most}, or be null"
        if not (is_whole(self.window) and self.window >= 1):
            yield f"hygiene: window={self.window}, but a frame is compared with a whole number of frames, at least one"

    def inspector(self) -> Callable[[NDArray[np.uint8]], Fault | None]:
        """A judge of the frames ``[H, W, 3]`` of one video in their order, which remembers the last ones kept."""
        recent = RecentPictures(self.window)

        def inspect(picture: NDArray[np.uint8]) -> Fault | None:
            small = reduced(picture)
            for reason, (measure, passes) in _MEASURES.items():
                threshold = getattr(self, reason)
                if threshold is not None and passes(value := measure(small), threshold):
                    return Fault(reason, value, threshold)
            if self.near_duplicate is not None:
                distance = recent.distance(small)
                if distance is not None and distance < self.near_duplicate:
                    return Fault("near_duplicate", distance, self.near_duplicate)
                recent.keep()
            return None

        return inspect


_MEASURES = {
    "near_black": (brightness, lt),
    "overlay": (few_colours, gt),
    "blurred": (sharpness, lt),
    "out_of_body": (flesh, lt),
}
