"""Frames sent to Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from mtal.annotation.around import Picture, pictures_around
from mtal.annotation.label_studio.project import Project
from mtal.annotation.label_studio.tasks import file_names, task_of
from mtal.annotation.request import Request
from mtal.progress import track

_AT_ONCE = 16  # frames in one call
_BYTES = 2**25  # of pictures in one call, from which on no more are added; servers take 200 MB


def make_tasks(project: Project, request: Request, left: Request, rows: Sequence[int]) -> None:
    """Send pictures, and once all are there make the tasks, in order of choice.

    Pictures that came through before the process was ended are not sent again.

    Args:
        project: where the tasks go.
        request: what is asked for.
        left: what of it is still open.
        rows: of ``left``, that have no task yet.

    Raises:
        FileNotFoundError: a recording is gone.
        ValueError: a frame cannot be read.
    """
    frame_ids, name = left.frame_ids, request.id  # each is made anew when it is asked for
    names = {row: file_names(name, frame_ids[row]) for row in rows}
    sizes: dict[int, tuple[int, int]] = {}
    there = project.uploaded()
    files: dict[str, bytes] = {}
    frames = left.frames.iloc[list(rows)]
    for seen in track(pictures_around(frames), "Sending pictures", total=len(rows)):
        row = rows[seen.row]
        sizes[row] = seen.picture.shape[:2]
        files |= {
            file: _png(picture)
            for file, picture in zip(names[row], (seen.picture, seen.strip), strict=True)
            if file not in there
        }
        if len(files) >= 2 * _AT_ONCE or sum(map(len, files.values())) > _BYTES:
            project.upload(files)
            files = {}
    if files:
        project.upload(files)
    there = project.uploaded()
    maps = {m.task: m for m in project.label_maps}
    places = {f: f"{n} of {len(request.frames)}" for n, f in enumerate(request.frame_ids, start=1)}
    for start in track(range(0, len(rows), _AT_ONCE), "Making tasks"):
        tasks = []
        for row in rows[start : start + _AT_ONCE]:
            urls = [there[file] for file in names[row]]
            tasks.append(task_of(left, name, row, places[frame_ids[row]], maps, sizes[row], urls))
        project.add(tasks)


def _png(picture: Picture) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
