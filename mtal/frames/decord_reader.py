"""Frames of a video by decord, which seeks to the nearest keyframe, on files where it provably gets them right."""

# decord 0.6.0 rather than its maintained fork decord2 3.4.0 (same import name). On 44 clips, each with a trait that
# misleads decoders, both gave right frames on the same 24 and wrong ones, mostly without an error, on the same others:
# the checks below are needed with either. decord2 is somewhat faster (31 and 28 frames per second of CPU at one in 25
# of H.264 854x480 with one keyframe in 250, against 26 and 26), but importing it loads the CUDA libraries that torch
# brings, NVBLAS among them, for all symbols of the process. NVBLAS then takes the place of torch's own BLAS, and on a
# machine without a GPU the first matrix product of a training ended in a segmentation fault.
#
# What the packets say is no proof. With one byte of the pictures changed at random, decord gave other pictures than
# PyAV on 24 of 38 H.264 clips, 3 of them without a word from either decoder, and failed or spun for ever on 5 more. So
# a file is decoded once by both before decord may read it, which is why PyAV, as fast and exact on all files, is the
# default.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from mtal.frames.bitstream import Picture
from mtal.frames.demux import Demuxed, demux
from mtal.frames.heartbeat import beat
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.request import positions

try:
    import decord
except ImportError:  # there is no wheel for every platform
    decord = None

_CONTAINERS = {"mov", "mp4", "matroska", "webm"}


class DecordReader:
    """Frame k is the k-th frame in presentation order, as a sequential decode by PyAV has it.

    Opening decodes the whole file by PyAV, to see whether it is damaged, and then by both to compare every frame.
    decord may spin for ever where it fails, so open this reader in a process that can be ended
    (:class:`mtal.frames.guarded.GuardedReader`).

    Requests are sorted before decord sees them and unsorted afterwards, because decord returns wrong frames for
    unsorted ones on some files.

    Args:
        source: the video file.
        demuxed: result of ``demux(source)``, where the caller has it already.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: decord is not installed, the file holds no video, or decord cannot be trusted on it (the message
            says why).
    """

    def __init__(self, source: Path, demuxed: Demuxed | None = None) -> None:
        self.source = source
        if decord is None:
            raise ValueError(f"{source}: decord is not installed on this platform; use frames.backend=auto or pyav")
        found = demuxed or demux(source)
        reason = distrust(found)
        if reason is not None:
            raise ValueError(f"{source}: decord may return wrong frames: {reason}; use frames.backend=auto or pyav")
        sequential = PyAVReader(source, demuxed=found)
        self.frames, self.times_s = sequential.frames, sequential.times_s
        self.frame_size = found.frame_size
        self._video: decord.VideoReader | None = self._open()
        with sequential:
            self._compare(sequential)

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames in the order asked; repeats are allowed.

        Raises:
            IndexError: the video has no such frame.
            ValueError: a frame does not decode.
        """
        wanted, place = np.unique(positions(str(self.source), self.frames, frames), return_inverse=True)  # [M], [N]
        if not len(wanted):
            return np.empty((0, *self.frame_size, 3), dtype=np.uint8)
        return self._batch(wanted.tolist())[place]  # [N, H, W, 3]

    def close(self) -> None:
        """Let go of the file. Reading opens it again."""
        self._video = None

    def __enter__(self) -> DecordReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> decord.VideoReader:
        try:
            video = decord.VideoReader(str(self.source))
        except (decord.DECORDError, RuntimeError) as error:
            raise ValueError(f"{self.source}: decord cannot open the file; use frames.backend=pyav") from error
        if len(video) != len(self.frames):
            raise ValueError(
                f"{self.source}: decord may return wrong frames: it counts {len(video)} frames where the container "
                f"holds {len(self.frames)}; use frames.backend=auto or pyav"
            )
        return video

    def _batch(self, ascending: list[int]) -> NDArray[np.uint8]:
        if self._video is None:
            self._video = self._open()
        try:
            pictures: NDArray[np.uint8] = self._video.get_batch(ascending).asnumpy()  # [M, H, W, 3]
        except (decord.DECORDError, RuntimeError) as error:
            self.close()  # after an error decord hands out stale pictures
            raise ValueError(
                f"{self.source}: decord cannot decode frames {ascending[0]} to {ascending[-1]}; use frames.backend=pyav"
            ) from error
        if pictures.shape != (len(ascending), *self.frame_size, 3):
            raise ValueError(
                f"{self.source}: decord returned pictures of shape {list(pictures.shape)} for {len(ascending)} frames "
                f"of {self.frame_size}; use frames.backend=pyav"
            )
        return pictures

    def _compare(self, sequential: PyAVReader) -> None:
        try:
            sequential.check()
        except ValueError as error:
            reason = str(error).removeprefix(f"{self.source}: ").rpartition(";")[0]
            raise ValueError(
                f"{self.source}: decord may return wrong frames: {reason}; use frames.backend=auto or pyav"
            ) from error
        for start in range(0, len(self), _CHUNK):
            ascending = self.frames[start : start + _CHUNK].tolist()
            ours, expected = self._batch(ascending), sequential.read(ascending)  # [n, H, W, 3]
            difference = np.maximum(ours, expected) - np.minimum(ours, expected)  # [n, H, W, 3] of uint8
            wrong = difference.max(axis=(1, 2, 3)) > _ROUNDING  # [n]
            if wrong.any():
                raise ValueError(
                    f"{self.source}: decord may return wrong frames: its frame {start + int(wrong.argmax())} differs "
                    "from PyAV's; use frames.backend=auto or pyav"
                )
            beat(ascending[-1])


_CHUNK = 32  # frames compared at once
_ROUNDING = 8
"""Gray levels by which two colour conversions of the same frame may differ."""


def distrust(found: Demuxed) -> str | None:
    """Why the packets of a file rule decord out, or ``None``.

    decord counts packets as frames and finds a frame by the order of timestamps, so every packet must be one shown
    frame; and it seeks to the keyframe before, so every frame must be decodable from there.
    """
    return _unproven_packets(found) or _unproven_order(np.array(found.pts, dtype=np.int64), found.keyframes)


def _unproven_packets(found: Demuxed) -> str | None:
    if not _CONTAINERS & set(found.container.split(",")):
        return f"seeking in {found.container} is not exact"
    if found.turned:
        return "its pictures are turned to be shown"
    if not found.clean:
        return "packets and frames do not match one to one (hidden, damaged, missing or without timestamps)"
    if Picture.NONE in found.pictures:
        return f"packet {found.pictures.index(Picture.NONE)} does not provably hold a whole {found.codec} picture"
    if any(p is not Picture.RESET for p, key in zip(found.pictures, found.keyframes, strict=True) if key):
        return "decoding cannot start at some keyframe, because later frames refer to frames before it"
    return None


def _unproven_order(pts: NDArray[np.int64], keyframes: NDArray[np.bool_]) -> str | None:  # [P], [P] as stored
    steps = np.diff(np.sort(pts))
    if pts.min() < 0:
        return "the first timestamp is negative"
    if len(steps) and np.ptp(steps) > 1:  # one tick of rounding, as in Matroska's milliseconds
        return "the timestamps have gaps"
    group = np.cumsum(keyframes) - 1  # [P] keyframe that each packet follows
    if (pts < pts[keyframes][group]).any():
        return "frames are shown before the keyframe that they follow (open groups of pictures)"
    if keyframes.sum() == 1 and (np.diff(pts) < 0).any():
        return "its only keyframe is the first, and frames are stored out of order"
    return None
