"""Label Studio's run lengths of brush masks.

The bits of the list, most significant first: 32 with the number of values, 5 with the size of a value less one, four
times 4 with the sizes of a length less one, then runs: 1 bit (one value, or each its own), 2 bits (which size the
length has), the length less one, the value or values. The values are the R, G, B and A of each pixel; A is the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SIZES = (3, 4, 8, 16)  # bits of a length, as Label Studio's own encoder has them
_LARGEST = 4 * 2**28
_OPAQUE = 128  # the rim of a stroke is smoothed: what it covers by half is painted


def encode(mask: npt.NDArray[np.bool_]) -> list[int]:
    """A mask ``[H, W]`` as bytes."""
    flat = mask.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = 4 * np.diff(np.append(starts, flat.size))
    bits = [f"{4 * flat.size:032b}{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    longest = 1 << _SIZES[-1]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = 255 * int(flat[start])
        whole, rest = divmod(length, longest)
        bits += [_run(longest, value)] * whole + ([_run(rest, value)] if rest else [])
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode(rle: Sequence[int], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask ``[H, W]`` of bytes.

    Args:
        rle: the bytes.
        size: (H, W) that the mask must have.

    Raises:
        ValueError: they are no run lengths, or those of a mask of another size.
    """
    try:
        values = _values(rle)
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"the mask is no run-length code of Label Studio's brush ({error})") from None
    if values.size != 4 * size[0] * size[1]:
        raise ValueError(f"the mask has {values.size // 4} pixels, but its frame is {size[0]}x{size[1]}")
    return np.asarray(values.reshape(*size, 4)[..., 3] >= _OPAQUE)


def _values(rle: Sequence[int]) -> npt.NDArray[np.uint8]:
    bits = np.unpackbits(np.array(rle, dtype=np.uint8))
    text = bits.tobytes().translate(bytes.maketrans(b"\0\1", b"01")).decode()
    number, word = int(text[:32], 2), int(text[32:37], 2) + 1
    sizes = [int(text[at : at + 4], 2) + 1 for at in range(37, 53, 4)]
    if word > 8 or number > _LARGEST:
        raise ValueError(f"{number} values of {word} bits")
    values = np.zeros(number, dtype=np.uint8)
    at, i = 53, 0
    while i < number:
        length = at + 3 + sizes[int(text[at + 1 : at + 3], 2)]
        j = i + 1 + int(text[at + 3 : length], 2)
        if text[at] == "1":
            at = length + word
            values[i:j] = int(text[length:at], 2)
        else:
            at = length + word * (j - i)
            values[i:j] = np.packbits(bits[length:at].reshape(j - i, word), axis=1)[:, 0] >> (8 - word)
        i = j
    return values


def _run(length: int, value: int) -> str:
    which = next(n for n, size in enumerate(_SIZES) if length <= 1 << size)
    return f"1{which:02b}{length - 1:0{_SIZES[which]}b}{value:08b}"
