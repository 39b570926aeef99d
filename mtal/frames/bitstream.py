"""H.264 and HEVC packets in MP4 and Matroska: does one hold a whole picture, judged without decoding it?

Packets are a chain of units, each behind its length (ISO/IEC 14496-15, section 5.3.4.2). A packet of fillers, or one
that lost its tail, still counts as a frame in the container but never comes out of a decoder.
"""

from __future__ import annotations

_LENGTH_AT = {"h264": 4, "hevc": 21}  # byte of the decoder configuration record that holds the size of the lengths


def length_size(codec: str, extradata: bytes) -> int | None:
    """Bytes of the length before each unit (1, 2 or 4), or ``None`` where packets are not stored that way."""
    at = _LENGTH_AT.get(codec)
    if at is None or len(extradata) <= at or extradata[0] != 1:
        return None
    return (extradata[at] & 3) + 1


def holds_picture(packet: memoryview, codec: str, size: int) -> bool:
    """The units fill the packet exactly and one of them is a slice of a picture.

    Args:
        packet: the bytes.
        codec: ``"h264"`` or ``"hevc"``.
        size: result of :func:`length_size`.
    """
    at, slices = 0, 0
    while at + size < len(packet):
        length = int.from_bytes(packet[at : at + size], "big")
        header = packet[at + size]
        slices += (1 <= header & 31 <= 5) if codec == "h264" else (header >> 1 & 63 < 32)
        at += size + length
    return at == len(packet) and slices > 0
