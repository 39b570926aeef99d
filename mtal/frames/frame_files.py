"""Which file on disk a frame is in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mtal.frames.image_folder import numbered, parse_folder_source


def frame_files(frames: pd.DataFrame) -> list[str]:
    """The picture that each frame is, or the video that it is in, as the frame index writes the path.

    Args:
        frames: N rows with ``source, frame``.

    Returns:
        N paths in the order of the rows. A folder in which the picture is no longer found stands for itself: frames are
        cached, and a run goes on without their files.
    """
    sources = frames["source"].astype(str).tolist()
    known = {source: _pictures(source) for source in dict.fromkeys(sources)}
    found = zip(map(known.__getitem__, sources), frames["frame"].tolist(), strict=True)
    return [str(pictures.get(frame, place)) for (place, pictures), frame in found]


def _pictures(source: str) -> tuple[Path, Mapping[int, Path]]:
    """The video or folder, and frame → picture of a folder."""
    place = parse_folder_source(source)
    try:
        return place.folder, numbered(place) if place.folder.is_dir() else {}
    except (FileNotFoundError, ValueError):  # pictures were taken away or renamed since
        return place.folder, {}
