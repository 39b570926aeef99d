"""Frames of a video by sequential decoding with PyAV: slow to go back, never a wrong frame."""

from __future__ import annotations

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
from mtal.frames.request import positions

Truncated = Literal["raise", "keep"]


class PyAVReader:
    """Frame k is the k-th frame that decodes; each one's timestamp is checked against the one expected.

    Decoding goes on from where it stands and starts again when asked backwards, so ascending requests decode the file
    once. Memory holds the frames of one request and the last one decoded.

    Args:
        source: the video file.
        on_truncated: what to do with a file that holds fewer frames than its header promises: ``"raise"`` or ``"keep"``
            those that decode.
        demuxed: result of ``demux(source)``, where the caller has it already.

    Attributes:
        pts: timestamp of each frame in ticks.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video, or is truncated.
    """

    def __init__(self, source: Path, on_truncated: Truncated = "raise", demuxed: Demuxed | None = None) -> None:
        self.source = source
        found = demuxed or demux(source)
        self.frame_size = found.frame_size
        self._time_base = found.time_base
        self.pts = presentation_order(found, on_truncated)
        # with frame threads PyAV loses the last good frames before damage, so they are for clean files only
        self._threads: Literal["AUTO", "SLICE"] = "AUTO" if found.clean else "SLICE"
        self.frames: NDArray[np.int64] = np.arange(len(self.pts))
        self.times_s: NDArray[np.float64] = seconds(self.pts, found.time_base)
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
        if self._container is None or k < self._at:
            self.close()
            self._container = open_video(self.source)
            self._container.streams.video[0].thread_type = self._threads
            self._decoded = self._container.decode(video=0)
        while self._current is None or self._at < k:
            self._advance(k)
        return self._current

    def _advance(self, k: int) -> None:
        number = self._at + 1
        try:
            frame = next(self._decoded)
        except StopIteration:
            self.close()
            raise ValueError(
                f"{self.source}: frame {k} does not decode, only {number} frames do; copy the file again"
            ) from None
        except av.error.FFmpegError as error:
            self.close()
            raise ValueError(
                f"{self.source}: frame {k} does not decode, the file is damaged after frame {number - 1} "
                f"({error.strerror}); copy it again"
            ) from error
        if frame.pts != self.pts[number]:
            self.close()
            raise ValueError(
                f"{self.source}: a frame before or at {number} is lost in decoding (timestamp {frame.pts} came "
                f"instead of {self.pts[number]}), so frame {k} cannot be told; re-encode the file"
            )
        self._current, self._at = frame, number


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
        except av.error.FFmpegError:
            return pts, True
    return pts, False
