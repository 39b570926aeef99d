"""Masks in formats that change values, such as JPEG: a pixel has the nearest value that means something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LOSSY = ("JPEG", "MPO", "WEBP")  # formats of Pillow
_WEBP_HEADER = 12  # bytes before the first chunk
_REACH = 40  # gray levels, or length in RGB, that compression may move a value by
_LEAST_GAP = 16  # between values of different meaning, lest a moved one is taken for another
_BETWEEN = 0.05  # share of a mask that may lie between the values, along borders


def is_lossy(path: Path, form: str | None) -> bool:
    """Whether a picture of a format of Pillow may have been changed by it. WebP has a way without loss, and says so."""
    if form != "WEBP":
        return form in _LOSSY
    with path.open("rb") as file:
        file.seek(_WEBP_HEADER)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8 ", b"VP8L"):
                return head[:4] == b"VP8 "
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return True


def nearest_values(
    path: Path, pixels: NDArray[np.int32], values: NDArray[np.int32], meanings: NDArray[np.uint8], ignore: int
) -> NDArray[np.uint8]:
    """``[H, W]`` meaning of the nearest value of each pixel, ``ignore`` where none is near.

    Near is within 40 gray levels and within half the way to a value of another meaning.

    Args:
        path: of the mask, for messages.
        pixels: ``[H, W]`` gray values, or colours as 65536 R + 256 G + B.
        values: ``[V]`` that mean something, likewise.
        meanings: ``[V]`` of each.
        ignore: for pixels between the values.

    Raises:
        ValueError: two values of different meaning are so close that compression takes one for the other, or more than
            a twentieth of the mask lies between the values.
    """
    held, place = np.unique(pixels, return_inverse=True)  # [M], [H, W]
    others = meanings[:, None] != meanings[None, :]  # [V, V]
    gap = _distance(values, values)[others].min(initial=np.inf)
    if gap < _LEAST_GAP:
        raise ValueError(
            f"{path}: this format changes values by some gray levels, and values of different meaning are only "
            f"{gap:.0f} apart; save the masks as PNG"
        )
    distance = _distance(held, values)  # [M, V]
    near = distance.min(axis=1) <= min(_REACH, (gap - 1) / 2)  # [M]
    lost = 1 - float(near[place].mean())
    if lost > _BETWEEN:
        raise ValueError(
            f"{path}: {lost:.0%} of the pixels are near to none of the {len(values)} listed values, though values that "
            "the format has changed are allowed for; list the others, or save the masks as PNG"
        )
    return np.where(near, meanings[distance.argmin(axis=1)], ignore).astype(np.uint8)[place].reshape(pixels.shape)


def _distance(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.float64]:
    """``[A, B]`` between gray values or colours."""
    red, green, blue = ((a[:, None] >> s & 255) - (b[None, :] >> s & 255) for s in (16, 8, 0))
    return np.sqrt(red.astype(np.float64) ** 2 + green**2 + blue**2)
