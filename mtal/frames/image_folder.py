"""Frames that lie in a folder as numbered images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

import numpy as np
from numpy.typing import NDArray

from mtal.frames.heartbeat import beat
from mtal.frames.picture import is_deep, picture_size, read_picture
from mtal.frames.request import positions
from mtal.refusals import Refusals

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_LARGEST = np.iinfo(np.int64).max  # names may hold identifiers of 39 digits
_FAINT = 16  # of 255: all that is left of 12 bits


class FolderSource(NamedTuple):
    """What a :func:`folder_source` says: the arguments of :class:`ImageFolder`."""

    folder: Path
    first_number: int | None = 0
    rate_hz: float = 25.0
    files: str = "*"

    def images(self) -> list[Path]:
        """Files of the folder that are frames, by name."""
        found = self.folder.glob(self.files)
        return sorted(p for p in found if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def folder_source(folder: Path, first_number: int | None = 0, rate_hz: float = 25.0, files: str = "*") -> str:
    """``"<folder>#first=<first_number>&rate=<rate_hz>"``: a folder and how its files count, as one frame-index entry.

    >>> folder_source(Path("img/seq1"), first_number=1)
    'img/seq1#first=1&rate=25'
    >>> folder_source(Path("video01_00080"), files="*_endo.png")
    'video01_00080#first=0&rate=25&files=%2A_endo.png'
    """
    options = {"first": "order" if first_number is None else first_number, "rate": f"{rate_hz:.12g}"}
    return f"{folder}#{urlencode(options | ({} if files == '*' else {'files': files}))}"


def parse_folder_source(source: str) -> FolderSource:
    """Folder, first number, rate in Hz and pattern of a :func:`folder_source`; a bare path counts from 0 at 25 Hz.

    Raises:
        ValueError: what follows the ``#`` has a ``first=`` and is no ``first=<int>&rate=<number>``, with
            ``&files=<pattern>`` or not.
    """
    path, mark, fragment = source.rpartition("#")
    if not mark or "first=" not in fragment or Path(source).exists():  # "#" may be part of a real name
        return FolderSource(Path(source))
    try:
        options = parse_qs(fragment, strict_parsing=True)
        first, rate = options.pop("first", ["0"])[0], float(options.pop("rate", ["25"])[0])
        found = FolderSource(Path(path), None if first == "order" else int(first), rate, options.pop("files", ["*"])[0])
    except ValueError as error:
        raise ValueError(f"{source}: {fragment!r} is not of the form first=1&rate=25") from error
    if options:
        raise ValueError(f"{source}: unknown option {next(iter(options))!r}; options are first, rate and files")
    return found


class ImageFolder:
    """Frame = number in the file's name − ``first_number``, time = frame / ``rate_hz``; numbers may have gaps.

    The number is the last run of digits in the name (``frame_80_endo.png`` is 80, ``0023_l.jpg`` is 23). Images may be
    of several sizes: ``frame_size`` is that of the first, :meth:`size` that of each.

    Args:
        folder: folder of images.
        first_number: number that the files count from, 0 or 1; ``None`` numbers the files 0, 1, … in the order of their
            names, for names that say nothing of time.
        rate_hz: native frames per second.
        files: pattern (of :mod:`fnmatch`) of the files that are frames, where others lie beside them.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: a name has no number, a number stands twice or lies before the first, or the rate is not positive.
    """

    def __init__(self, folder: Path, first_number: int | None = 0, rate_hz: float = 25.0, files: str = "*") -> None:
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"{folder}: the rate must be a positive number of frames per second, not {rate_hz}")
        self.source = folder
        self._files = numbered(FolderSource(folder, first_number, rate_hz, files))
        self.frames: NDArray[np.int64] = np.array(sorted(self._files), dtype=np.int64)
        self.times_s: NDArray[np.float64] = self.frames / rate_hz
        path = self._files[int(self.frames[0])]
        first = read_picture(path)  # [H, W, 3]
        self.frame_size: tuple[int, int] = first.shape[:2]
        if first.max() <= _FAINT and is_deep(path):
            warnings.warn(
                f"{path}: of 16 bits it uses the lowest 12 at most and is all but black; if its values have 12 bits, "
                "save the images with 8",
                stacklevel=2,
            )

    def __len__(self) -> int:
        return len(self.frames)

    def path(self, frame: int) -> Path:
        """The file of one frame.

        Raises:
            IndexError: the folder has no such frame.
        """
        positions(str(self.source), self.frames, [frame])
        return self._files[frame]

    def size(self, frame: int) -> tuple[int, int]:
        """(H, W) of one frame.

        Raises:
            IndexError: the folder has no such frame.
            ValueError: the file is no image.
        """
        return picture_size(self.path(frame))

    def read(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        """``[N, H, W, 3]`` RGB of N frames of one size in the order asked; repeats are allowed.

        Raises:
            IndexError: the folder has no such frame.
            ValueError: an image is broken, or not of the size of the others, for which there is :meth:`pictures`.
        """
        pictures = self.pictures(frames)
        for frame, picture in zip(frames, pictures, strict=True):
            if picture.shape != pictures[0].shape:
                first, other = ("x".join(map(str, p.shape[:2])) for p in (pictures[0], picture))
                raise ValueError(
                    f"{self._files[frame]}: the image is {other}, {self._files[frames[0]].name} is {first} (height x "
                    "width); one array holds frames of one size"
                )
        return np.stack(pictures) if pictures else np.empty((0, *self.frame_size, 3), dtype=np.uint8)

    def pictures(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        """``[H, W, 3]`` RGB of each frame in its own size, in the order asked; repeats are allowed.

        Raises:
            IndexError: the folder has no such frame.
            ValueError: an image is broken.
        """
        wanted, place = np.unique(positions(str(self.source), self.frames, frames), return_inverse=True)  # [M], [N]
        pictures = []
        refusals = Refusals()
        for frame in self.frames[wanted].tolist():
            with refusals:
                pictures.append(read_picture(self._files[frame]))
            beat(frame)
        refusals.tell()
        return [pictures[k] for k in place.tolist()]

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def __enter__(self) -> ImageFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def last_number(path: Path) -> str | None:
    """The last run of digits in a name, without its suffix.

    >>> last_number(Path("p1/frame_080_endo.png")), last_number(Path("p1/first.jp2"))
    ('080', None)
    """
    found = re.findall(r"[0-9]+", path.stem)
    return str(found[-1]) if found else None


def numbered(source: FolderSource) -> dict[int, Path]:
    """Frame → file of every image of a folder.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: a name has no number, or a number stands twice or lies before the first.
    """
    if not source.folder.is_dir():
        raise FileNotFoundError(f"{source.folder}: no such folder of images")
    images = source.images()
    if not images:
        what = ", ".join(SUFFIXES) if source.files == "*" else source.files
        raise FileNotFoundError(f"{source.folder}: the folder has no images ({what})")
    first = source.first_number
    if first is None:
        return dict(enumerate(images))
    files: dict[int, Path] = {}
    refusals = Refusals()
    for path in images:
        number = last_number(path)
        with refusals:
            if number is None:
                raise ValueError(f"{path}: the name has no number, so its frame cannot be told; rename or remove it")
            frame = int(number) - first
            if frame > _LARGEST:
                raise ValueError(f"{path}: its last number, {number}, is no number of a frame; rename the images")
            if frame < 0:
                raise ValueError(f"{path}: its number lies before the first, {first}; does the folder count from 0?")
            if frame in files:
                raise ValueError(
                    f"{path}: has the number of {files[frame].name}; keep one image per frame in the folder"
                )
            files[frame] = path
    refusals.tell()
    return files
