"""Frames of a video by PyAV: decoded in sequence from a place that the packets prove safe, never a wrong frame."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.demux import Demuxed, demux, open_video
from mtal.frames.heartbeat import beat
from mtal.frames.request import positions

Truncated = Literal["raise", "keep"]

_NEAR = 16  # frames that are decoded faster than a seek and the frames that fill the threads again

_log = logging.getLogger(__name__)


class PyAVReader:
    """Frame k is the k-th frame that decodes; each one's timestamp is checked against the one expected.

    Decoding goes on from where it stands. To go back or far ahead it begins at the last IDR picture before the frame
    asked (H.264 and HEVC, where the packets prove that nothing after it needs anything before), or else at the start of
    the file. Memory holds the frames of one request and the last one decoded.

    A file that decodes with faults, some byte of it having changed, is decoded from its start by one thread, as nothing
    else conceals the faults in the same way. Its frames are those of a plain decode; a warning names the first damaged.

    Args:
        source: the video file.
        on_truncated: what to do with a file that holds fewer frames than its header promises: ``"raise"`` or ``"keep"``
            those that decode.
        demuxed: result of ``demux(source)``, where the caller has it already.

    Attributes:
        demuxed: what the packets say.
        pts: timestamp of each frame in ticks.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video, or is truncated.
    """

    def __init__(self, source: Path, on_truncated: Truncated = "raise", demuxed: Demuxed | None = None) -> None:
        self.source = source
        self.demuxed = found = demuxed or demux(source)
        self.frame_size = found.frame_size
        self.pts = presentation_order(found, on_truncated)
        self.frames: NDArray[np.int64] = np.arange(len(self.pts))
        self.times_s: NDArray[np.float64] = seconds(self.pts, found.time_base)
        self._entries = found.entries
        # with frame threads PyAV loses the last good frames before damage, so they are for clean files only
        self._plain = not found.clean
        self._damaged: int | None = None  # the first damaged frame seen
        self._container: av.container.InputContainer | None = None
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._current: av.VideoFrame | None = None
        self._at = -1  # position of the current frame

    def __len__(self) -> int:
        return len(self.pts)

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames in the order asked; repeats are allowed.

        Raises:
            IndexError: the video has no such frame.
            ValueError: a frame does not decode.
        """
        wanted, place = np.unique(positions(str(self.source), self.frames, frames), return_inverse=True)  # [M], [N]
        pictures = np.empty((len(wanted), *self.frame_size, 3), dtype=np.uint8)  # [M, H, W, 3]
        for i, k in enumerate(wanted.tolist()):
            picture = self._frame(k).to_ndarray(format="rgb24")
            if picture.shape != pictures.shape[1:]:
                raise ValueError(
                    f"{self.source}: frame {k} is {picture.shape[0]}x{picture.shape[1]}, the video "
                    f"{self.frame_size[0]}x{self.frame_size[1]} (height x width); cut the file where its size changes"
                )
            pictures[i] = picture
        return pictures[place]  # [N, H, W, 3]

    def check(self) -> None:
        """Decode every frame once.

        Raises:
            ValueError: a frame is damaged or does not decode.
        """
        for k in self.frames.tolist():
            self._frame(k)
            if self._damaged is not None:
                raise ValueError(f"{self.source}: frame {self._damaged} is damaged; copy the file again")

    def close(self) -> None:
        """Let go of the file. Reading opens it again."""
        if self._container is not None:
            self._container.close()
        self._container, self._decoded, self._current, self._at = None, iter(()), None, -1

    def __enter__(self) -> PyAVReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self, k: int) -> av.VideoFrame:
        entry = 0 if self._plain else self._entries[bisect_right(self._entries, k) - 1]
        if k < self._at or entry > self._at + _NEAR:
            self._begin(entry)
        while self._current is None or self._at < k:
            if self._container is None:
                self._begin(0)
            self._advance(k)
        return self._current

    def _begin(self, entry: int) -> None:
        if self._container is None or entry == 0:
            self.close()
            self._container = open_video(self.source)
            self._container.streams.video[0].thread_type = "SLICE" if self._plain else "AUTO"
        if entry > 0:
            self._container.seek(self.pts[entry], stream=self._container.streams.video[0])
        self._decoded = self._container.decode(video=0)
        self._current, self._at = None, entry - 1

    def _advance(self, k: int) -> None:
        number = self._at + 1
        try:
            frame = self._next(number, k)
        except ValueError:
            self.close()
            if self._plain:
                raise
            self._plain = True
            return
        if frame.is_corrupt and not self._plain:
            self.close()
            self._plain = True
            return
        if frame.is_corrupt and self._damaged is None:
            self._damaged = number
            _log.warning(
                "%s: frame %d is damaged; it and those that refer to it are shown as the decoder conceals it",
                self.source,
                number,
            )
        self._current, self._at = frame, number
        beat(number)

    def _next(self, number: int, k: int) -> av.VideoFrame:
        """The frame after the current one, on the way to ``k``."""
        try:
            frame = next(self._decoded)
        except StopIteration:
            raise ValueError(
                f"{self.source}: frame {k} does not decode, only {number} frames do; copy the file again"
            ) from None
        except av.error.FFmpegError as error:
            raise ValueError(
                f"{self.source}: frame {k} does not decode, the file is damaged after frame {number - 1} "
                f"({error.strerror}); copy it again"
            ) from error
        if frame.pts != self.pts[number]:
            raise ValueError(
                f"{self.source}: a frame before or at {number} is lost in decoding (timestamp {frame.pts} came "
                f"instead of {self.pts[number]}), so frame {k} cannot be told; re-encode the file"
            )
        return frame


def seconds(pts: Sequence[int], time_base: Fraction) -> NDArray[np.float64]:
    """Presentation times counted from the first frame."""
    ticks = np.array(pts, dtype=np.int64)  # [N]
    return (ticks - ticks[0]) * float(time_base)


def presentation_order(found: Demuxed, on_truncated: Truncated) -> list[int]:
    """Timestamps of the frames that decode, in presentation order.

    Packets stand for frames where :attr:`Demuxed.clean`. Otherwise the file is decoded once, which alone can tell.

    Raises:
        ValueError: the file is truncated and ``on_truncated`` is ``"raise"``, or no frame decodes.
    """
    packets = len(found.pts)
    if found.clean:
        return sorted(p for p in found.pts if p is not None)
    pts, broken = _decode_timestamps(found.source)
    promised = found.promised or packets
    # an edit list hides frames on purpose: then the header's count promises nothing
    short = broken or found.corrupt or (len(pts) < promised and not found.discarded and found.keyframes[0])
    if not pts:
        raise ValueError(f"{found.source}: no frame decodes; copy the file again")
    if short and on_truncated == "raise":
        raise ValueError(
            f"{found.source}: the container promises {promised} frames, {len(pts)} decode; copy the file again, "
            "or pass on_truncated='keep' to use those"
        )
    return pts


def _decode_timestamps(source: Path) -> tuple[list[int], bool]:
    """Timestamps in the order of decoding, and whether decoding broke off with an error."""
    pts: list[int] = []
    with open_video(source) as container:
        try:
            for frame in container.decode(video=0):
                if frame.pts is None:
                    raise ValueError(f"{source}: frame {len(pts)} has no timestamp; copy the video into an MP4 file")
                pts.append(frame.pts)
                beat(len(pts))
        except av.error.FFmpegError:
            return pts, True
    return pts, False
