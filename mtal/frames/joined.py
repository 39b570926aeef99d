"""Recordings joined byte by byte, of which FFmpeg reads the first alone, or all by the header of the first."""

from __future__ import annotations

import re
from pathlib import Path

import av
import av.error

from mtal.frames.video_file import video_stream

WAY_OUT = "cut it there into files of their own"

_HEADERS = {  # by FFmpeg's name of the container
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    "flv": rb"FLV\x01[\x00\x01\x04\x05]\x00{3}\x09\x00{4}",
    "ivf": rb"DKIF\x00\x00\x20\x00",
    "matroska,webm": rb"\x1a\x45\xdf\xa3.{1,8}\x42\x86",
    "nut": rb"nut/multimedia container\x00NM\x7a\x56",
    "ogg": rb"OggS\x00[\x02\x06]",
    "rm": rb"\.RMF\x00\x00\x00[\x10-\x1f]",
    "wtv": rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d",
    "yuv4mpegpipe": rb"YUV4MPEG2 W",
}
"""How a file begins, so that it is told from what may stand in one by chance."""
_LONGEST = 32  # bytes of a header that a pattern asks for
_CHUNK = 2**20


def next_recording(source: Path, container: str, start: int, stop: int | None = None) -> int | None:
    """Byte from ``start`` on, and before ``stop``, where the header of another recording stands.

    Boxes of the MP4 family are walked over; of other containers what lies between is read. ``None`` where there is no
    header, or none is known: containers that FFmpeg reads on in are not asked.
    """
    if is_mp4(container):
        return next((at for at in _movies(source)[0][1:] if start <= at and (stop is None or at < stop)), None)
    if container not in _HEADERS:
        return None
    header = re.compile(_HEADERS[container], re.DOTALL)
    with source.open("rb") as file:
        file.seek(start)
        at, seen = start, b""
        while chunk := file.read(_CHUNK):
            seen += chunk
            found = header.search(seen)
            if found:
                return at + found.start() if stop is None or at + found.start() < stop else None
            if stop is not None and at + len(seen) >= stop + _LONGEST:
                return None
            at, seen = at + len(seen) - min(_LONGEST, len(seen)), seen[-_LONGEST:]
    return None


def refuse_foreign_headers(source: Path, container: str, stream: av.VideoStream, gaps: list[tuple[int, int]]) -> None:
    """Refuse what is read on across a joint by a header that is not its own: Matroska, MP4 in fragments, and NUT.

    Matroska passes where the headers say the same of the decoder. Fragments may say from the start of the file where
    their frames lie, and so never do. In NUT, FFmpeg loses its place at the joint: it reads some frames with times of
    the first recording, then perhaps all of them again, or none.

    Args:
        source: the file.
        container: FFmpeg's name of it.
        stream: the video.
        gaps: first byte, and the one behind the last, of where in a Matroska file a header may stand.

    Raises:
        ValueError: there is such a recording behind the first.
    """
    if container == "nut" and (joint := next_recording(source, container, start=1)) is not None:
        raise ValueError(
            f"{source}: recordings were joined in it byte by byte, and that from byte {joint} on would be read with "
            f"frames lost or added, at false times; {WAY_OUT}"
        )
    if container == "matroska,webm":
        found = [next_recording(source, container, *gap) for gap in gaps]
        foreign = [at for at in found if at is not None and not _same_decoder(source, at, stream)]
    elif is_mp4(container):
        starts, in_fragments = _movies(source)
        foreign = starts[1:] if in_fragments else []
    else:
        return
    if foreign:
        raise ValueError(
            f"{source}: recordings were joined in it byte by byte, and that from byte {foreign[0]} on would be read by "
            f"the header of the first; {WAY_OUT}"
        )


def is_mp4(container: str) -> bool:
    """Whether FFmpeg's name of a container is that of the MP4 family: MP4, MOV, 3GP and the like."""
    return "mp4" in container.split(",")


def _same_decoder(source: Path, at: int, stream: av.VideoStream) -> bool:
    try:
        with av.open(f"subfile,,start,{at},end,0,,:{source}") as container:
            ours, theirs = stream.codec_context, video_stream(container).codec_context
            return ours.name == theirs.name and bytes(ours.extradata or b"") == bytes(theirs.extradata or b"")
    except (av.error.FFmpegError, IndexError):  # nothing that can be decoded by itself
        return False


def _movies(source: Path) -> tuple[list[int], bool]:
    """Where recordings begin in a file of the MP4 family, and whether there are fragments (ISO/IEC 14496-12, 6.2).

    Each has a box ``moov`` and at most one ``ftyp``, which comes first.
    """
    starts = [0]
    seen: set[bytes] = set()  # of the recording
    fragments = False
    with source.open("rb") as file:
        size = file.seek(0, 2)
        at = 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if length == 1:  # in 64 bits
                length = int.from_bytes(head[8:], "big")
            if length < 8:  # the last one goes to the end, or this is no box
                break
            fragments |= kind == b"moof"
            if kind in (b"ftyp", b"moov"):
                if kind in seen:
                    starts.append(at)
                    seen.clear()
                seen.add(kind)
            at += length
    return starts, fragments
