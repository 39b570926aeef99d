"""A picture file as viewers show it: one page, upright, 8 bits a channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_ORIENTATION = 0x0112  # of EXIF
_REDUCED = 0x00FE  # of TIFF: its lowest bit says that a page is a smaller copy of another
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how they begin
_ON_THEIR_SIDE = (5, 6, 7, 8)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """``[H, W, 3]`` RGB. 16-bit gray is scaled so that 65535 is white; transparency is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole picture, or holds several, or its pixels have 32 bits.
    """
    with upright(path) as image:
        if image.mode in ("I", "F"):
            raise ValueError(
                f"{path}: the image has 32-bit pixels (mode {image.mode}), and nothing tells which value is white; "
                "save it with 8 or 16 bits a channel"
            )
        if image.mode.startswith("I;16"):
            gray = (np.asarray(image).astype(np.uint32) + 128) // 257  # [H, W], 257 * 255 = 65535
            return gray.astype(np.uint8)[..., None].repeat(3, axis=2)  # [H, W, 3]
        # Pillow warns of a palette with transparency on its way to RGB
        colors = image.convert("RGBA") if image.mode == "P" else image
        return np.asarray(colors.convert("RGB"))  # [H, W, 3]


def picture_size(path: Path, what: str = "image") -> tuple[int, int]:
    """(H, W) of a picture as it is shown, from its header.

    Args:
        path: the file.
        what: it is, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture.
    """
    with _opened(path, what) as image:
        width, height = image.size
        # Pillow tells the size of a TIFF as it is shown
        turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE
        return (width, height) if turned else (height, width)


def is_deep(path: Path) -> bool:
    """Whether a picture has 16-bit gray values."""
    with _opened(path, "image") as image:
        return image.mode.startswith("I;16")


def loses_depth(path: Path) -> bool:
    """Whether a picture has 16 bits in each of several channels, and more in them than the upper 8.

    Pillow reads these alone. Programs that make 16 bits of 8 repeat them, and nothing is lost.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        head = file.read(26)
    deep_png = head.startswith(b"\x89PNG") and len(head) == 26 and head[24] == 16 and head[25] != 0  # bits, not gray
    if not deep_png and head[:4] not in _TIFF:
        return False
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration):
        return deep_png
    if max(component.bits for component in frame.format.components) <= 8 or len(frame.format.components) == 1:
        return False
    upper, lower = np.divmod(frame.to_ndarray(format="rgba64le"), 256)
    return bool((upper != lower).any())


def is_indexed(path: Path) -> bool:
    """Whether a picture holds numbers of a palette, which say nothing of what is seen, from its header."""
    with _opened(path, "mask") as image:
        return image.mode in ("P", "PA")


@contextmanager
def upright(path: Path, what: str = "image") -> Iterator[Image.Image]:
    """A picture in its own mode, turned as its EXIF says.

    Args:
        path: the file.
        what: it is, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no whole picture, or holds several.
    """
    with _opened(path, what) as image:
        pages = _pages(image)
        if pages > 1:
            raise ValueError(
                f"{path}: the file holds {pages} pictures, but a frame has one {what}; save each as a file of its own"
            )
        ImageOps.exif_transpose(image, in_place=True)
        yield image


def _pages(image: Image.Image) -> int:
    """Pictures of a file, but for copies of the first that viewers do not show."""
    pages: int = getattr(image, "n_frames", 1)
    if pages == 1 or image.format == "MPO":  # a photograph with previews or the other eye's view
        return 1
    if image.format == "TIFF":
        shown = 0
        for page in range(pages):
            image.seek(page)
            shown += not int(getattr(image, "tag_v2", {}).get(_REDUCED, 0)) & 1
        image.seek(0)
        return shown
    return pages


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the {what} is missing; restore it or leave its frame out") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: the {what} is too large to be read ({error}); make it smaller") from error
    # SyntaxError: what Pillow says of a broken PNG
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, and not of what is in the file
            raise ValueError(f"{path}: the {what} cannot be opened: {error.strerror}") from error
        raise ValueError(f"{path}: the {what} cannot be read ({error}); restore the file") from error
