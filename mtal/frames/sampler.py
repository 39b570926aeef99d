"""Which native frames are offered for labelling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtal.frames.protocol import Reader
from mtal.frames.reader import read_pictures

_CHUNK_BYTES = 2**26  # decoded at once


class Sampler(Protocol):
    """Takes some frames of a source. A dataclass, so that its ``repr`` tells all that its choice depends on."""

    def sample(self, reader: Reader) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Position and picture ``[H, W, 3]`` of each frame taken, ascending; few are held in memory at a time.

        Raises:
            ValueError: a frame does not decode.
        """
        ...


@dataclass(frozen=True)
class UniformSampler:
    """The frame nearest to each tick k / rate, k = 0, 1, …: one frame every 1 / rate seconds.

    A tick is served only by a frame at most half a tick away, so that gaps in the video stay gaps, and none is served
    after the last frame has been shown (3 s of video at 1 Hz give 3 frames). Of two equally near frames the earlier is
    taken, and no frame twice; a rate above the native one gives every frame.

    Args:
        rate_hz: frames per second.

    Raises:
        ValueError: the rate is not a positive number.
    """

    rate_hz: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise ValueError(f"the sampling rate must be a positive number of frames per second, not {self.rate_hz}")

    def sample(self, reader: Reader) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See :class:`Sampler`."""
        return read_in_chunks(reader, self(reader.times_s))

    def __call__(self, times_s: ArrayLike) -> NDArray[np.int64]:
        """Positions of the frames taken, ascending, given ``[N]`` presentation times in seconds, ascending.

        Raises:
            ValueError: the times are not finite and ascending.
        """
        times = np.asarray(times_s, dtype=np.float64)  # [N]
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError("the sampler needs one finite, ascending presentation time per frame")
        tick = np.floor(times * self.rate_hz + 0.5).astype(np.int64)  # [N] nearest tick of each frame
        # nanoseconds, so that rounding in k / rate does not decide between two equally near frames
        distance = np.round(np.abs(times - tick / self.rate_hz), 9)  # [N]
        nearest_first = np.lexsort((np.arange(len(times)), distance, tick))  # [N] by tick, distance, order
        _, first = np.unique(tick[nearest_first], return_index=True)
        taken = np.sort(nearest_first[first])  # ascending, and so are their ticks
        if len(times) > 1:
            # 0.9 of a frame, since containers round timestamps
            end = times[-1] + 0.9 * np.median(np.diff(times))
            taken = taken[tick[taken] / self.rate_hz < max(end, times[-1] + 1e-9)]
        return taken


def read_in_chunks(reader: Reader, positions: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Position and picture ``[H, W, 3]`` of frames of a reader; about 64 MiB of them are decoded at once."""
    chunk = max(1, _CHUNK_BYTES // (3 * reader.frame_size[0] * reader.frame_size[1]))
    for start in range(0, len(positions), chunk):
        here = positions[start : start + chunk]
        yield from zip(here.tolist(), read_pictures(reader, reader.frames[here].tolist()), strict=True)
