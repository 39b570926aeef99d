"""Keyframes of a video: where they are without decoding, and their pictures without decoding the frames between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.demux import Demuxed
from mtal.frames.heartbeat import beat
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.request import positions
from mtal.frames.turned import picture
from mtal.frames.video_file import decode, open_video, video_stream


def stream_keyframes(reader: PyAVReader, frames: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The pictures ``[H, W, 3]`` RGB of N frames one after the other, bit for bit those of :class:`PyAVReader`.

    Frames between keyframes are not decoded if the packets prove that every keyframe resets the decoder, up to the
    first frame asked that is no keyframe or does not come out; from there on the file is decoded in sequence.

    Args:
        reader: opened on the video; it decodes what cannot be had otherwise.
        frames: ``[N]``, ascending.

    Raises:
        IndexError: the video has no such frame.
        ValueError: a frame does not decode.
    """
    wanted = positions(str(reader.source), reader.frames, frames).tolist()  # [N]
    pts = [reader.stamps[k] for k in wanted]
    done = 0
    if reader.demuxed.clean and _all_reset(reader.demuxed):
        with suppress(av.error.FFmpegError):  # the sequential reader then says what is wrong and where
            for (at, picture), expected in zip(_decode(reader.demuxed, set(pts)), pts, strict=False):
                if at != expected:
                    break
                yield picture
                done += 1
    for k in wanted[done:]:
        yield reader.read([k])[0]


def marked(reader: PyAVReader) -> NDArray[np.int64]:
    """``[M]`` positions, ascending, of the packets marked as keyframes.

    Where packets cannot stand for frames (:attr:`Demuxed.clean`), they are those that the decoder marks.
    """
    return np.flatnonzero(reader.keyframes)


def _all_reset(found: Demuxed) -> bool:
    return len(found.entries) == np.count_nonzero(found.keyframes)


def _decode(found: Demuxed, wanted: set[int | None]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Timestamp and picture ``[H, W, 3]`` of the keyframes wanted that decode without a fault."""
    with open_video(found.source) as container:
        video_stream(container).codec_context.skip_frame = "NONKEY"
        for number, frame in enumerate(decode(container)):
            beat(number)
            if frame.pts is None or frame.pts not in wanted or frame.is_corrupt:
                continue
            shown = picture(frame, found.source)
            if shown.shape[:2] == found.frame_size:
                yield frame.pts, np.ascontiguousarray(shown)
