"""Where the frames of a table are read from: numbered images of a folder, or frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.reader import open_reader


@dataclass(frozen=True)
class Place:
    """A frame, its time and what it is read from."""

    video: str
    frame: int
    time_s: float
    source: str
    frame_size: tuple[int, int]


def image_places(
    images: Sequence[Path], base: Path, times_s: Sequence[float | None], rate_hz: float, patient: str = ""
) -> list[Place]:
    """The places of images of one folder, in the order given.

    Frames have the last number of each name if those tell all files of the folder apart, else their places in the order
    of names. The folder, seen from ``base``, is the video, and the patient's part of it where it holds several.

    Args:
        images: files of one folder.
        base: folder that names of videos are told from.
        times_s: of each image; ``None`` for its number / ``rate_hz``.
        rate_hz: frames per second.
        patient: whose images these are, where the folder holds those of several.

    Raises:
        ValueError: an image cannot be read.
    """
    folder = images[0].parent
    first: int | None = 0
    try:
        reader = ImageFolder(folder, first, rate_hz)
    except ValueError:  # a name without a number, or one number twice
        first = None
        reader = ImageFolder(folder, first, rate_hz)
    number = {reader.path(k).name: k for k in reader.frames.tolist()}
    source, video = folder_source(folder, first, rate_hz), _name(folder, base)
    video = f"{video}_{patient}" if patient else video
    places = []
    for image, time_s in zip(images, times_s, strict=True):
        if image.name not in number:
            raise ValueError(f"{image}: this is no image file; images end in .png, .jpg, .tif or .bmp")
        frame = number[image.name]
        places.append(Place(video, frame, frame / rate_hz if time_s is None else time_s, source, reader.frame_size))
    return places


def video_places(
    video: Path, base: Path, frames: Sequence[float | None], times_s: Sequence[float | None], where: Sequence[str]
) -> list[Place]:
    """The places of frames of one video, in the order given.

    Args:
        video: the file.
        base: folder that names of videos are told from.
        frames: native numbers from 0; ``None`` for the frame nearest to the time.
        times_s: used where there is no frame number.
        where: file, row and column of each, for messages.

    Raises:
        ValueError: there is neither frame nor time, or the video has no such frame.
    """
    name = _name(video.with_suffix(""), base)
    with open_reader(video, on_truncated="keep") as reader:
        times, size = reader.times_s, reader.frame_size
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    places = []
    for frame, time_s, at in zip(frames, times_s, where, strict=True):
        if frame is None and time_s is None:
            raise ValueError(f"{at}: it is empty; a frame of a video needs 'frame' or 'time_s'")
        if frame is None:
            assert time_s is not None
            number = int(np.abs(times - time_s).argmin())
            if abs(times[number] - time_s) > step:
                raise ValueError(f"{at}: {video} has no frame near {time_s:g} s, it ends at {times[-1]:g} s")
        else:
            number = int(frame)
            if number != frame or number >= len(times):
                raise ValueError(f"{at}: {video} has no frame {frame:g}; frames run from 0 to {len(times) - 1}")
        places.append(Place(name, number, float(times[number]), str(video), size))
    return places


def _name(path: Path, base: Path) -> str:
    """``liver_01`` of ``<base>/liver/01``."""
    parts = path.relative_to(base).parts if path.is_relative_to(base) else path.parts[1:]
    return "_".join(parts) or path.name or "images"
