"""More frames where the picture changes, fewer where it stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtal.frames.protocol import Reader
from mtal.frames.sampler import UniformSampler, read_in_chunks
from mtal.refusals import refuse

_EDGE = 32  # of the thumbnails: averaging leaves motion and takes away the noise of the camera


@dataclass(frozen=True)
class AdaptiveSampler:
    """A frame after each equal step of cumulative change, within a least and a most rate.

    Change is the mean absolute difference of 32 × 32 grey thumbnails of successive frames, in shares of the grey range,
    seen at the most rate; its sum grows by how much the picture moves, and a frame is taken whenever it passes a
    multiple of ``step``. Each frame is looked at once and only one thumbnail is kept.

    Args:
        step: change between two frames taken.
        least_rate_hz: frames per second where nothing changes.
        most_rate_hz: frames per second where everything does.

    Raises:
        ValueError: the step is not positive, or the rates are not positive and in order.
    """

    step: float = 0.1
    least_rate_hz: float = 0.1
    most_rate_hz: float = 2.0

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not (np.isfinite(self.step) and self.step > 0):
            yield f"the step of change must be a positive number, not {self.step}"
        if not 0 < self.least_rate_hz <= self.most_rate_hz < np.inf:
            yield (
                f"the sampler needs 0 < least_rate_hz <= most_rate_hz, not {self.least_rate_hz} and {self.most_rate_hz}"
            )

    def sample(self, reader: Reader) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See :class:`mtal.frames.sampler.Sampler`."""
        before: NDArray[np.float32] | None = None
        change, taken_s = 0.0, 0.0
        for position, picture in read_in_chunks(reader, UniformSampler(self.most_rate_hz)(reader.times_s)):
            thumbnail = _thumbnail(picture)
            if before is not None:
                change += float(np.abs(thumbnail - before).mean())
            time_s = float(reader.times_s[position])
            late = time_s - taken_s >= 1 / self.least_rate_hz - 0.5 / self.most_rate_hz
            if before is None or change >= self.step or late:
                yield position, picture
                change %= self.step
                taken_s = time_s
            before = thumbnail


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``[32, 32]`` in [0, 1]."""
    image = Image.fromarray(picture).convert("L").resize((_EDGE, _EDGE), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float32) / np.float32(255)
