"""H.264 and HEVC packets in MP4 and Matroska: what one holds, judged without decoding it.

Packets are a chain of units, each behind its length (ISO/IEC 14496-15, section 5.3.4.2). A packet of fillers, or one
that lost its tail, still counts as a frame in the container but never comes out of a decoder. A packet may be marked as
a keyframe though frames after it refer to frames before (open groups of pictures, periodic intra refresh); only an IDR
picture resets the decoder. Nor does it do so where packets bring parameter sets other than those of the header, because
a decoder that starts later lacks them.
"""

from __future__ import annotations

from enum import Enum

_LENGTH_AT = {"h264": 4, "hevc": 21}  # byte of the decoder configuration record that holds the size of the lengths
_SLICES = {"h264": range(1, 6), "hevc": range(32)}  # unit types: ITU-T H.264 table 7-1, H.265 table 7-1
_IDR = {"h264": {5}, "hevc": {19, 20}}
_PARAMETERS = {"h264": range(7, 9), "hevc": range(32, 35)}


class Picture(Enum):
    """What a packet holds."""

    NONE = "no whole picture that the parameters in the header decode, as far as can be told"
    DEPENDENT = "a picture that may need earlier ones"
    RESET = "an IDR picture: nothing after it in the file needs anything before it"


def length_size(codec: str, extradata: bytes) -> int | None:
    """Bytes of the length before each unit (1, 2 or 4), or ``None`` where packets are not stored that way."""
    at = _LENGTH_AT.get(codec)
    if at is None or len(extradata) <= at or extradata[0] != 1:
        return None
    return (extradata[at] & 3) + 1


def picture(packet: memoryview, codec: str, size: int, extradata: bytes) -> Picture:
    """What the units of a packet hold, if they fill it exactly.

    Args:
        packet: the bytes.
        codec: ``"h264"`` or ``"hevc"``.
        size: result of :func:`length_size`.
        extradata: the decoder configuration record.
    """
    at, slices = 0, set()
    while at + size < len(packet):
        length = int.from_bytes(packet[at : at + size], "big")
        header = packet[at + size]
        kind = header & 31 if codec == "h264" else header >> 1 & 63
        if kind in _SLICES[codec]:
            slices.add(kind)
        elif kind in _PARAMETERS[codec] and bytes(packet[at + size : at + size + length]) not in extradata:
            return Picture.NONE
        at += size + length
    if at != len(packet) or not slices:
        return Picture.NONE
    return Picture.RESET if slices <= _IDR[codec] else Picture.DEPENDENT
