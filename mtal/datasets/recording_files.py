"""Which files of a folder are videos, which folders are recordings as pictures, and what becomes of the others."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtal.frames.image_folder import SUFFIXES as PICTURES
from mtal.frames.image_folder import FolderSource, folder_source

_ENDINGS = """
.264 .265 .3g2 .3gp .amv .asf .avc .avi .divx .dv .f4v .flv .gxf .h264 .h265 .hevc .ivf .m1v .m2p .m2t .m2ts .m2v .m4v
.mj2 .mjpeg .mjpg .mk3d .mkv .mod .mov .mp4 .mp4v .mpe .mpeg .mpg .mpv .mts .mxf .nsv .nut .obu .ogg .ogm .ogv .ogx .ps
.qt .rm .rmvb .tod .tp .trp .ts .vob .vro .webm .wmv .wtv .xvid .y4m
"""
SUFFIXES = tuple(_ENDINGS.split())
"""How names of videos end that FFmpeg opens, in lower case."""
_SHOWN = 3


@dataclass(frozen=True)
class RecordingFiles:
    """What is below a folder; hidden files and folders are passed over.

    Args:
        videos: name → file, in the order of their paths.
        pictures: name → folder that holds pictures and no video, in the order of their paths.
        others: files whose names are not those of videos.
        dangling: links that lead nowhere.
        again: links to a file that is below the folder, or to a folder that is or that another link leads to.
        twins: links to a file elsewhere that another link leads to as well, among ``videos`` all the same.
        misnamed: files and folders whose names are no UTF-8, as of other systems; tables cannot hold them.
    """

    videos: dict[str, Path]
    pictures: dict[str, Path] = field(default_factory=dict)
    others: tuple[Path, ...] = ()
    dangling: tuple[Path, ...] = ()
    again: tuple[Path, ...] = ()
    twins: tuple[Path, ...] = ()
    misnamed: tuple[Path, ...] = ()

    def sources(self, rate_hz: float | None) -> dict[str, Path | str]:
        """Name → video, or ``folder_source`` of a folder of pictures where ``rate_hz`` says how fast they follow.

        Pictures count by the numbers in their names, or by their order where these do not tell them apart.

        Raises:
            ValueError: a folder has the name of a video.
        """
        if rate_hz is None:
            return dict(self.videos)
        twice = sorted(self.videos.keys() & self.pictures.keys())
        if twice:
            raise ValueError(
                f"{self.pictures[twice[0]]} and {self.videos[twice[0]]} are both called {twice[0]!r}; rename one"
            )
        return {**self.videos, **{name: _folder_source(folder, rate_hz) for name, folder in self.pictures.items()}}

    def left_out(self, rate_hz: float | None = None) -> Iterator[str]:
        """A sentence for each kind of what is left out, folders of pictures too without ``rate_hz``, or doubled."""
        if self.pictures and rate_hz is None:
            yield (
                f"{_named(tuple(self.pictures.values()), 'folder')} of pictures left out; data.rate_hz=1 takes them as "
                "recordings with a picture per second"
            )
        if self.others:
            yield f"{_named(self.others, 'file')} left out, being no video by name; rename what is one"
        if self.dangling:
            yield f"{_named(self.dangling, 'link')} left out, leading nowhere; mend or remove it"
        if self.misnamed:
            yield f"{_named(self.misnamed, 'path')} left out, for the name is no text in UTF-8; rename it"
        if self.again:
            yield f"{_named(self.again, 'link')} passed over, leading to what is looked through already"
        if self.twins:
            yield (
                f"{_named(self.twins, 'link')} taken, though another link leads to the same file; remove what is not "
                "meant to be a recording of its own"
            )


def recording_files(root: Path) -> RecordingFiles:
    """Look through a folder and those inside, linked ones too.

    A video is named after its path below ``root`` without the suffix, or with it where that is the name of another. A
    folder that holds pictures and no video is a recording as well, named after its path, or after itself where it is
    ``root``.

    Raises:
        OSError: a folder cannot be read.
    """
    walk = _Walk(root)
    videos = sorted(p for p in walk.files if p.suffix.lower() in SUFFIXES)
    with_video = {p.parent for p in videos}
    shown = {p.parent for p in walk.files if p.suffix.lower() in PICTURES} - with_video
    others = sorted(
        p
        for p in walk.files
        if p.suffix.lower() not in SUFFIXES and not (p.parent in shown and p.suffix.lower() in PICTURES)
    )
    paths = [p.relative_to(root) for p in videos]
    stems = Counter(p.with_suffix("") for p in paths)
    # without a suffix one must be neither the name of a.mp4 beside a.avi nor that of a.mp4 where there is a.mp4.avi
    names = [p if stems[p.with_suffix("")] > 1 or p.with_suffix("") in paths else p.with_suffix("") for p in paths]
    found = {name.as_posix(): path for name, path in zip(names, videos, strict=True)}
    pictures = {(p.relative_to(root).as_posix() if p != root else root.name): p for p in sorted(shown)}
    links = (tuple(sorted(kind)) for kind in (walk.dangling, walk.again, walk.twins, walk.misnamed))
    return RecordingFiles(found, pictures, tuple(others), *links)


class _Walk:
    """All below a folder. Links are followed after all else, so that a file goes by its own path where it has one."""

    def __init__(self, root: Path) -> None:
        self.files: list[Path] = []
        self.dangling: list[Path] = []
        self.again: list[Path] = []
        self.twins: list[Path] = []
        self.misnamed: list[Path] = []
        self._seen: set[tuple[int, int]] = set()
        self._linked: set[tuple[int, int]] = set()  # files
        self._links: list[Path] = []
        self._enter(root)
        while self._links:
            self._follow(self._links.pop(0))

    def _enter(self, folder: Path) -> None:
        self._seen.add(_identity(folder))
        for path in sorted(folder.iterdir()):
            if path.name[0] == ".":  # such as the trash and the snapshots of a disk, which hold copies
                continue
            if not _is_text(path.name):
                self.misnamed.append(path)
            elif path.is_symlink():
                self._links.append(path)
            elif path.is_dir():
                self._enter(path)
            elif path.is_file():
                self._seen.add(_identity(path))
                self.files.append(path)

    def _follow(self, link: Path) -> None:
        if not link.exists():
            self.dangling.append(link)
        elif _identity(link) in self._seen:
            self.again.append(link)
        elif link.is_dir():
            self._enter(link)
        elif link.is_file():
            self.files.append(link)
            if _identity(link) in self._linked:
                self.twins.append(link)
            self._linked.add(_identity(link))


def _identity(path: Path) -> tuple[int, int]:
    """Of the file or folder, wherever it is reached from."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _is_text(name: str) -> bool:
    """Not so where bytes of it are none of UTF-8, for which Python puts signs that cannot be written."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _folder_source(folder: Path, rate_hz: float) -> str:
    numbers = [re.findall(r"[0-9]+", image.stem)[-1:] for image in FolderSource(folder).images()]
    told_apart = all(numbers) and len({int(n[0]) for n in numbers}) == len(numbers)
    return folder_source(folder, 0 if told_apart else None, rate_hz)


def _named(paths: Sequence[Path], what: str) -> str:
    some = (os.fsencode(path).decode(errors="replace") for path in paths[:_SHOWN])
    shown = ", ".join(some) + (", …" if len(paths) > _SHOWN else "")
    return f"{len(paths)} {what}{'' if len(paths) == 1 else 's'} ({shown})"
