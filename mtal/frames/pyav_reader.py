"""Frames of a video by PyAV: decoded in sequence from a place that the packets prove safe, never a wrong frame."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.demux import Demuxed, demux
from mtal.frames.heartbeat import beat
from mtal.frames.request import positions
from mtal.frames.timeline import Truncated, decode_stamps, timeline
from mtal.frames.turned import picture
from mtal.frames.video_file import decode, open_video, video_stream

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
        on_truncated: what to do with a file that holds fewer frames than its header promises, or others joined to it
            that are not read: ``"raise"`` or ``"keep"`` those that decode.
        demuxed: result of ``demux(source)``, where the caller has it already.

    Attributes:
        demuxed: what the packets say.
        stamps: timestamp of each frame in ticks, as the decoder gives it; ``None`` where it gives none.
        keyframes: ``[N]``, whether a frame is one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no video, or is truncated.
    """

    def __init__(self, source: Path, on_truncated: Truncated = "raise", demuxed: Demuxed | None = None) -> None:
        self.source = source
        self.demuxed = found = demuxed or demux(source)
        self.frame_size = found.frame_size
        shown = timeline(found, on_truncated)
        self.stamps, self.keyframes, self.times_s = shown.stamps, shown.keyframes, shown.times_s
        self.frames: NDArray[np.int64] = np.arange(len(self.stamps))
        self._learnt = not found.clean  # the timestamps are those that a decode gave
        self._entries = found.entries
        # with frame threads PyAV loses the last good frames before damage, so they are for clean files only
        self._plain = not found.clean
        self._damaged: int | None = None  # the first damaged frame seen
        self._container: av.container.InputContainer | None = None
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._current: av.VideoFrame | None = None
        self._at = -1  # position of the current frame

    def __len__(self) -> int:
        return len(self.stamps)

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames in the order asked; repeats are allowed.

        Raises:
            IndexError: the video has no such frame.
            ValueError: a frame does not decode.
        """
        wanted, place = np.unique(positions(str(self.source), self.frames, frames), return_inverse=True)  # [M], [N]
        pictures = np.empty((len(wanted), *self.frame_size, 3), dtype=np.uint8)  # [M, H, W, 3]
        for i, k in enumerate(wanted.tolist()):
            shown = picture(self._frame(k), self.source)
            if shown.shape != pictures.shape[1:]:
                raise ValueError(
                    f"{self.source}: frame {k} is {shown.shape[0]}x{shown.shape[1]}, the video "
                    f"{self.frame_size[0]}x{self.frame_size[1]} (height x width); cut the file where its size changes"
                )
            pictures[i] = shown
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
            video_stream(self._container).thread_type = "SLICE" if self._plain else "AUTO"
        stamp = self.stamps[entry]
        if entry > 0 and stamp is not None:
            self._container.seek(stamp, stream=video_stream(self._container))
        self._decoded = decode(self._container)
        self._current, self._at = None, entry - 1

    def _advance(self, k: int) -> None:
        number = self._at + 1
        try:
            frame = self._next(number, k)
        except ValueError:
            self.close()
            if self._plain and (self._learnt or not self._learn()):
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
            where = f"after frame {number - 1}" if number else "from its start"
            raise ValueError(
                f"{self.source}: frame {k} does not decode, the file is damaged {where} ({error.strerror}); copy it "
                "again"
            ) from error
        if frame.pts != self.stamps[number]:
            raise ValueError(
                f"{self.source}: a frame before or at {number} is lost in decoding (timestamp {frame.pts} came "
                f"instead of {self.stamps[number]}), so frame {k} cannot be told; re-encode the file"
            )
        return frame

    def _learn(self) -> bool:
        """Take the timestamps from a decode of the whole file; whether they are those expected in another order."""
        self._learnt = True
        stamps, keyframes, broken = decode_stamps(self.source)
        same = not broken and None not in stamps and sorted(s for s in stamps if s is not None) == self.stamps
        if same:
            self.stamps, self.keyframes = stamps, np.array(keyframes)
        return same
