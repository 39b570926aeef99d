"""Keyframes only, which can be had without decoding the frames between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.frames.keyframes import marked, stream_keyframes
from mtal.frames.protocol import Reader
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.sampler import UniformSampler


@dataclass(frozen=True)
class KeyframeSampler:
    """Keyframes of a video, at most ``rate_hz`` of them per second: the quickest look at hours of recordings.

    Recorders set a keyframe every few seconds and encoders set one where the scene changes, so the frames come at the
    rate that the file was made with. Where a codec makes every frame a keyframe, the rate keeps them apart.

    Args:
        rate_hz: most frames per second.

    Raises:
        ValueError: the rate is not a positive number.
    """

    rate_hz: float = 1.0

    def __post_init__(self) -> None:
        UniformSampler(self.rate_hz)  # refuses a bad rate

    def sample(self, reader: Reader) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See :class:`mtal.frames.sampler.Sampler`.

        Raises:
            ValueError: the source is a folder of images, which has no keyframes, or a frame does not decode.
        """
        if reader.source.is_dir():
            raise ValueError(f"{reader.source}: a folder of images has no keyframes; use the uniform sampler")
        with nullcontext(reader) if isinstance(reader, PyAVReader) else PyAVReader(reader.source, "keep") as sequential:
            keyframes = marked(sequential)  # [M]
            taken = keyframes[_apart(sequential.times_s[keyframes], 1 / self.rate_hz)]
            yield from zip(taken.tolist(), stream_keyframes(sequential, taken), strict=True)


def _apart(times_s: NDArray[np.float64], gap_s: float) -> list[int]:
    """Positions of the first time and of each that is at least ``gap_s`` after the one taken before it."""
    taken: list[int] = []
    for i, time_s in enumerate(times_s.tolist()):
        if not taken or time_s - times_s[taken[-1]] >= gap_s - 1e-3:  # containers round to milliseconds
            taken.append(i)
    return taken
