"""Where the frames of a table are read from: numbered images of folders, or frames of videos."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.mask import Size
from mtal.datasets.recording_names import Recording, recording_names
from mtal.frames.image_folder import SUFFIXES, FolderSource, ImageFolder, folder_source, last_number
from mtal.frames.reader import open_reader
from mtal.refusals import Refusals


@dataclass(frozen=True)
class Asked:
    """What a row says of its frame.

    Attributes:
        where: file, row and column, for messages.
        file: an image or a video.
        is_image: which of them.
        patient: who is operated on.
        recording: name of that which an image is of, where the table has one.
        frame: native number from 0 of a video's frame; ``None`` for the frame nearest to the time.
        time_s: of an image, ``None`` for its number by the rate; of a video's frame where there is no number.
    """

    where: str
    file: Path
    is_image: bool
    patient: str
    frame: float | None = None
    time_s: float | None = None
    recording: str = ""

    @property
    def of(self) -> str:
        """What tells images of one folder apart."""
        return self.recording or self.patient


@dataclass(frozen=True)
class Place:
    """A frame, its time and what it is read from.

    Attributes:
        video: name of the recording.
        frame: native number, from 0.
        time_s: seconds.
        source: of the frame index.
        frame_size: (H, W), or the picture that has it.
    """

    video: str
    frame: int
    time_s: float
    source: str
    frame_size: Size | Path


def index_rows(places: Sequence[Place], patients: Sequence[str], splits: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a frame index for as many places, patients and splits."""
    return [
        {
            "patient": patient,
            "split": split,
            "video": place.video,
            "frame": place.frame,
            "time_s": place.time_s,
            "source": place.source,
        }
        for place, patient, split in zip(places, patients, splits, strict=True)
    ]


def find_places(asked: Sequence[Asked], base: Path, rate_hz: float) -> list[Place]:
    """The place of each frame asked for.

    Images of one folder and patient are one recording, where no other is named; their numbers are the last ones of
    their names if those tell all files of the folder apart, else their places in the order of names, of which times
    that are made are warned of where two files have one number. A video is a recording.

    Args:
        asked: the frames.
        base: folder that names of recordings are told from.
        rate_hz: frames per second that numbers of images count, where they have no time.

    Raises:
        ValueError: an image cannot be read, a video has no such frame, or recordings cannot be told apart.
    """
    of_folder: dict[Path, set[str]] = {}
    for one in asked:
        if one.is_image:
            of_folder.setdefault(one.file.parent, set()).add(one.of)
    recordings: dict[Recording, list[int]] = {}
    for row, one in enumerate(asked):
        path = one.file.parent if one.is_image else one.file
        several = one.is_image and len(of_folder[path]) > 1
        recordings.setdefault(Recording(path, one.of if several else "", one.is_image), []).append(row)
    names, refusals = recording_names(recordings, base), Refusals()
    places: dict[int, Place] = {}
    for recording, rows in recordings.items():
        some = [asked[row] for row in rows]
        with refusals:
            if recording.is_folder:
                found = _images(recording.path, some, names[recording], rate_hz, refusals)
            else:
                found = _frames(recording.path, some, names[recording], refusals)
            places |= {rows[i]: place for i, place in found.items()}
    refusals.tell()
    for folder in dict.fromkeys(one.file.parent for one in asked if one.is_image and one.time_s is None):
        _warn_of_shared_number(folder, rate_hz)
    return [places[row] for row in range(len(asked))]


def _warn_of_shared_number(folder: Path, rate_hz: float) -> None:
    """Whoever has numbered the images of each patient anew does not expect that they count for nothing."""
    seen: dict[int, Path] = {}
    for path in FolderSource(folder).images():
        number = last_number(path)
        if number is not None and (first := seen.setdefault(int(number), path)) is not path:
            warnings.warn(
                f"{folder}: {first.name} and {path.name} have the same number, so the numbers in this folder count for "
                f"nothing, and times are made of the order of names, {rate_hz:g} images a second; give each patient a "
                "folder, each image of a folder a last number of its own, or a table the column 'time_s'",
                stacklevel=4,
            )
            return


def _images(folder: Path, asked: Sequence[Asked], video: str, rate_hz: float, refusals: Refusals) -> dict[int, Place]:
    """Which frames are there, and where."""
    strange = [one for one in asked if one.file.suffix.lower() not in SUFFIXES or one.file.name.startswith(".")]
    for one in strange:
        with refusals:
            raise ValueError(
                f"{one.where}: {one.file.name} is no image file; images end in {', '.join(SUFFIXES)}, and their names "
                "do not begin with a dot"
            )
    if strange:
        return {}
    first: int | None = 0
    try:
        reader = ImageFolder(folder, first, rate_hz)
    except ValueError:  # a name without a number, or one number twice
        first = None
        reader = ImageFolder(folder, first, rate_hz)
    number = {reader.path(k).name: k for k in reader.frames.tolist()}
    source = folder_source(folder, first, rate_hz)
    found = {}
    for i, one in enumerate(asked):
        frame = number[one.file.name]
        found[i] = Place(video, frame, frame / rate_hz if one.time_s is None else one.time_s, source, one.file)
    return found


def _frames(path: Path, asked: Sequence[Asked], video: str, refusals: Refusals) -> dict[int, Place]:
    """Which frames are there, and where."""
    with open_reader(path, on_truncated="keep") as reader:
        times, size = reader.times_s, reader.frame_size
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    found = {}
    for i, one in enumerate(asked):
        with refusals:
            if one.frame is not None:
                number = int(one.frame)
                if number != one.frame or number >= len(times):
                    last = len(times) - 1
                    raise ValueError(f"{one.where}: {path} has no frame {one.frame:g}; frames run from 0 to {last}")
                # times may be rounded, or those of 30 frames a second where there are 29.97
                if one.time_s is not None and abs(times[number] - one.time_s) > step + 0.5 + 0.002 * one.time_s:
                    raise ValueError(
                        f"{one.where}: frame {number} of {path} is at {times[number]:.3f} s, and 'time_s' says "
                        f"{one.time_s:g}; frames count from 0, at the rate of the file: leave one of the two out"
                    )
            elif one.time_s is not None:
                number = int(np.abs(times - one.time_s).argmin())
                if abs(times[number] - one.time_s) > step:
                    raise ValueError(f"{one.where}: {path} has no frame near {one.time_s:g} s{_gap(times, one.time_s)}")
            else:
                raise ValueError(f"{one.where}: it is empty; a frame of a video needs 'frame' or 'time_s'")
            found[i] = Place(video, number, float(times[number]), str(path), size)
    return found


def _gap(times: NDArray[np.float64], time_s: float) -> str:
    """Where a time lies that no frame [N] is near to."""
    after = int(np.searchsorted(times, time_s))
    if after == len(times):
        return f", it ends at {times[-1]:g} s"
    if after == 0:
        return f", it begins at {times[0]:g} s"
    return f": after that at {times[after - 1]:g} s the next is at {times[after]:g} s"
