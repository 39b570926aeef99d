"""Names of recordings that tell them apart: folders of images, or videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mtal.refusals import Refusals


class Recording(NamedTuple):
    """What frames lie in together.

    Attributes:
        path: the folder of images or the video.
        part: patient or name of the recording, where a folder holds images of several, else empty.
        is_folder: it is a folder of images.
    """

    path: Path
    part: str = ""
    is_folder: bool = True


def recording_names(recordings: Iterable[Recording], base: Path) -> dict[Recording, str]:
    """A name for each recording: ``liver_01`` of ``<base>/liver/01``, with the part where a folder holds several.

    Where two would have one name, as ``liver/01`` and ``liver_01``, or ``op.mp4`` and ``op.mpg``, these have their
    paths with ``/`` and suffix.

    Raises:
        ValueError: two have one name even so.
    """
    found = list(dict.fromkeys(recordings))
    short = {r: "_".join(_parts(r, base, r.is_folder)) or "images" for r in found}
    times = Counter(short.values())
    names = {r: short[r] if times[short[r]] == 1 else "/".join(_parts(r, base, True)) or "images" for r in found}
    owners: dict[str, Recording] = {}
    refusals = Refusals()
    for recording, name in names.items():
        other = owners.setdefault(name, recording)
        if other != recording:
            told = f"{recording.path}: it would be called {name!r}, as {other.path} is; rename one of them"
            refusals.take(ValueError(told))
    refusals.tell()
    return names


def _parts(recording: Recording, base: Path, with_suffix: bool) -> tuple[str, ...]:
    path = recording.path if with_suffix else recording.path.with_suffix("")
    parts = path.relative_to(base).parts if path.is_relative_to(base) else path.parts[1:]
    return (*parts, recording.part) if recording.part else parts
