"""What a file lists as frames and leaves without content: recorders do so when a frame came too late."""

from __future__ import annotations

from pathlib import Path

import av

_LISTS = (b"RIFF", b"LIST")


def empty_chunks(source: Path, stream: av.VideoStream) -> int:
    """Frames without content that the index of a file lists, or the chunks of an AVI.

    FFmpeg passes over them, and the frame before is shown longer: they are gaps in time and no loss.
    """
    if stream.container.format.name == "avi":
        return _of_an_avi(source, stream.index)
    return sum(entry.size == 0 for entry in stream.index_entries)


def _of_an_avi(source: Path, stream: int) -> int:
    """Walk through all chunks: a header of name and length stands before each (AVI RIFF File Reference, Microsoft)."""
    names = {b"%02ddc" % stream, b"%02ddb" % stream}  # compressed, uncompressed
    empty = 0
    with source.open("rb") as file:
        while len(header := file.read(8)) == 8:
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name in _LISTS:
                file.seek(4, 1)  # into the list, behind its type
                continue
            empty += name in names and size == 0
            file.seek(size + size % 2, 1)
    return empty
