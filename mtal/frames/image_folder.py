"""Frames that lie in a folder as numbered images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mtal.frames.request import positions

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


def folder_source(folder: Path, first_number: int = 0, rate_hz: float = 25.0) -> str:
    """``"<folder>#first=<first_number>&rate=<rate_hz>"``: a folder and how its files count, as one frame-index entry.

    >>> folder_source(Path("img/seq1"), first_number=1)
    'img/seq1#first=1&rate=25'
    """
    return f"{folder}#first={first_number}&rate={rate_hz:.12g}"


def parse_folder_source(source: str) -> tuple[Path, int, float]:
    """Folder, first number and rate in Hz of a :func:`folder_source`; a bare path counts from 0 at 25 Hz.

    Raises:
        ValueError: what follows the ``#`` is no ``first=<int>&rate=<number>``.
    """
    path, mark, fragment = source.rpartition("#")
    if not mark or Path(source).exists():  # "#" may be part of a real name
        return Path(source), 0, 25.0
    try:
        options = parse_qs(fragment, strict_parsing=True)
        first, rate = int(options.pop("first", ["0"])[0]), float(options.pop("rate", ["25"])[0])
    except ValueError as error:
        raise ValueError(f"{source}: {fragment!r} is not of the form first=1&rate=25") from error
    if options:
        raise ValueError(f"{source}: unknown option {next(iter(options))!r}; options are first and rate")
    return Path(path), first, rate


class ImageFolder:
    """Frame = number in the file's name − ``first_number``, time = frame / ``rate_hz``; numbers may have gaps.

    The number is the last run of digits in the name (``frame_80_endo.png`` is 80, ``0023_l.jpg`` is 23).

    Args:
        folder: folder of images.
        first_number: number that the files count from, 0 or 1.
        rate_hz: native frames per second.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: a name has no number, a number stands twice or lies before the first, or the rate is not positive.
    """

    def __init__(self, folder: Path, first_number: int = 0, rate_hz: float = 25.0) -> None:
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"{folder}: the rate must be a positive number of frames per second, not {rate_hz}")
        self.source = folder
        self._files = _numbered(folder, first_number)
        self.frames: NDArray[np.int64] = np.array(sorted(self._files), dtype=np.int64)
        self.times_s: NDArray[np.float64] = self.frames / rate_hz
        first = _decode(self._files[int(self.frames[0])])
        self.frame_size: tuple[int, int] = first.shape[:2]

    def __len__(self) -> int:
        return len(self.frames)

    def path(self, frame: int) -> Path:
        """The file of one frame.

        Raises:
            IndexError: the folder has no such frame.
        """
        positions(str(self.source), self.frames, [frame])
        return self._files[frame]

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames in the order asked; repeats are allowed.

        Raises:
            IndexError: the folder has no such frame.
            ValueError: an image is broken, or not of the size of the others.
        """
        wanted, place = np.unique(positions(str(self.source), self.frames, frames), return_inverse=True)  # [M], [N]
        pictures = np.empty((len(wanted), *self.frame_size, 3), dtype=np.uint8)  # [M, H, W, 3]
        for i, frame in enumerate(self.frames[wanted].tolist()):
            picture = _decode(self._files[frame])
            if picture.shape != pictures.shape[1:]:
                raise ValueError(
                    f"{self._files[frame]}: the image is {picture.shape[0]}x{picture.shape[1]}, the first of its "
                    f"folder {self.frame_size[0]}x{self.frame_size[1]} (height x width); all frames must be of one size"
                )
            pictures[i] = picture
        return pictures[place]  # [N, H, W, 3]

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def __enter__(self) -> ImageFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbered(folder: Path, first_number: int) -> dict[int, Path]:
    """Frame → file."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of images")
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        numbers = re.findall(r"[0-9]+", path.stem)
        if not numbers:
            raise ValueError(f"{path}: the name has no number, so its frame cannot be told; rename or remove it")
        frame = int(numbers[-1]) - first_number
        if frame < 0:
            raise ValueError(f"{path}: its number lies before the first, {first_number}; does the folder count from 0?")
        if frame in files:
            raise ValueError(f"{path}: has the number of {files[frame].name}; keep one image per frame in the folder")
        files[frame] = path
    if not files:
        raise FileNotFoundError(f"{folder}: the folder has no images ({', '.join(SUFFIXES)})")
    return files


def _decode(path: Path) -> NDArray[np.uint8]:
    """``[H, W, 3]`` RGB."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the image is gone; restore it") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # SyntaxError: what Pillow says of a broken PNG
        raise ValueError(f"{path}: the image cannot be read ({error}); restore the file") from error
