"""The frames of one folder of images, as rows of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.index import frame_id


def folder_rows(
    patient: str, video: str, split: str, folder: Path, first_number: int, rate_hz: float, files: str = "*"
) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    """A row for each image without its labels, and frame_id → image file in the same order.

    Args:
        patient: of the recording.
        video: name of the recording.
        split: ``pool``, ``val`` or ``test``.
        folder: where the images lie.
        first_number: number that the files count from.
        rate_hz: frames per second that the numbers count.
        files: pattern of the images where other files lie beside them.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: a name has no number, a number stands twice, or the first image cannot be read.
    """
    with ImageFolder(folder, first_number, rate_hz, files) as images:
        source = folder_source(folder, first_number, rate_hz, files)
        rows = [
            {
                "patient": patient,
                "video": video,
                "frame": frame,
                "time_s": time_s,
                "source": source,
                "split": split,
            }
            for frame, time_s in zip(images.frames.tolist(), images.times_s.tolist(), strict=True)
        ]
        return rows, {frame_id(video, row["frame"]): images.path(row["frame"]) for row in rows}
