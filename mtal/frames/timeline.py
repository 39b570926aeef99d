"""When the frames of a video are shown, in the order in which they come out of the decoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av.error
import numpy as np
from numpy.typing import NDArray

from mtal.frames.demux import Demuxed, jumps
from mtal.frames.heartbeat import beat
from mtal.frames.joined import WAY_OUT, next_recording
from mtal.frames.video_file import decode, open_video

Truncated = Literal["raise", "keep"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timeline:
    """The N frames of a video.

    Args:
        stamps: presentation timestamp in ticks that the decoder gives with each frame, by which it is told; some files
            have false ones or none.
        times_s: ``[N]``, seconds from the first frame on, ascending.
        keyframes: ``[N]``, whether a frame is one.
    """

    stamps: list[int | None]
    times_s: NDArray[np.float64]
    keyframes: NDArray[np.bool_]


def timeline(found: Demuxed, on_truncated: Truncated) -> Timeline:
    """The frames that decode.

    Packets stand for frames where :attr:`Demuxed.clean`. Otherwise the file is decoded once, which alone can tell.

    Raises:
        ValueError: the file is truncated, or recordings that were joined in it are not read, and ``on_truncated`` is
            ``"raise"``; or no frame decodes.
    """
    if found.unread is not None:
        _cut_at_a_joint(found, found.unread, on_truncated)
    if found.clean:
        stamps = np.array(found.pts, dtype=np.int64)  # [P] as stored
        order = np.argsort(stamps)
        times_s = (stamps[order] - stamps.min()) * float(found.time_base)
        return Timeline(stamps[order].tolist(), times_s, found.keyframes[order])
    stamps_, keyframes, broken = decode_stamps(found.source)
    if not stamps_:
        raise ValueError(f"{found.source}: no frame decodes; copy the file again")
    _check_count(found, len(stamps_), broken, on_truncated)
    return Timeline(stamps_, _times(found, stamps_), np.array(keyframes))


def decode_stamps(source: Path) -> tuple[list[int | None], list[bool], bool]:
    """Timestamps in the order of decoding, which frames are keyframes, and whether decoding broke off with an error."""
    stamps: list[int | None] = []
    keyframes: list[bool] = []
    with open_video(source) as container:
        try:
            for frame in decode(container):
                stamps.append(frame.pts)
                keyframes.append(bool(frame.key_frame))
                beat(len(stamps))
        except av.error.FFmpegError:
            return stamps, keyframes, True
    return stamps, keyframes, False


def _cut_at_a_joint(found: Demuxed, at: int, on_truncated: Truncated) -> None:
    what = f"{found.source}: recordings were joined in it byte by byte, and that from byte {at} on is not read"
    if on_truncated == "raise":
        raise ValueError(f"{what}; {WAY_OUT}, or use the frames before it: data.on_truncated=keep")
    _log.warning("%s; the frames before it are used", what)


def _check_count(found: Demuxed, decoded: int, broken: bool, on_truncated: Truncated) -> None:
    promised = found.promised or len(found.pts)
    there = decoded + found.empty + min(found.nothing_new, max(0, len(found.pts) - decoded))
    # an edit list hides frames on purpose: then the header's count promises nothing
    short = broken or found.corrupt or (there < promised and not found.discarded and found.keyframes[0])
    if not short or found.unread is not None:  # told already
        return
    joint = next_recording(found.source, found.container, 1)
    if joint is not None:
        _cut_at_a_joint(found, joint, on_truncated)
        return
    what = f"{found.source}: the container promises {promised} frames, {decoded} decode"
    if there >= promised:
        what = f"{found.source}: a part of it is damaged or missing, though {decoded} frames decode"
    if on_truncated == "raise":
        raise ValueError(f"{what}; copy the file again, or use those that decode: data.on_truncated=keep")
    _log.warning("%s; these are used", what)


def _times(found: Demuxed, stamps: list[int | None]) -> NDArray[np.float64]:
    """Times that rise: the timestamps' where they do, else what comes nearest to them."""
    known = np.array([s for s in stamps if s is not None], dtype=np.int64)  # [N] if all are there
    base = float(found.time_base)
    steps = np.diff(known)
    if len(known) == len(stamps):
        if (steps > 0).all() and not found.restarts:
            return (known - known[0]) * base
        if found.restarts:  # joined recordings: time goes on across the jump
            steady = (steps > 0) & ~jumps(steps, found.time_base)
            steps = np.where(steady, steps, round(float(np.median(steps[steady]))) if steady.any() else 1)
            return np.concatenate([[0], np.cumsum(steps)]) * base
        known = np.sort(known)
        if (np.diff(known) > 0).all():  # the file has no times of presentation, but one for each frame
            return (known - known[0]) * base
    if not found.rate:
        raise ValueError(
            f"{found.source}: neither its frames nor its header tell the time of a frame; copy the video into an MP4 "
            "file"
        )
    return np.arange(len(stamps)) / float(found.rate)
