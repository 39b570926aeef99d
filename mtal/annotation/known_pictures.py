"""Which picture or video the answers of a label store were given for, so that none goes to another."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from mtal.annotation.store import whole
from mtal.frames.frame_files import frame_files
from mtal.frames.image_folder import SUFFIXES
from mtal.frames.index import FrameIndex
from mtal.refusals import Refusals, first_of


class KnownPictures:
    """``pictures.json`` of a label store: frame → the file that was looked at, with the folder that it lay in.

    Where names of pictures hold no numbers, frames count the pictures of a folder, and one more of them moves all that
    come after it: the answers would stay with the numbers.

    Args:
        root: the folder of the store.
        index: the frames of the run.
    """

    def __init__(self, root: Path, index: FrameIndex) -> None:
        self._file = root / "pictures.json"
        files = frame_files(index.table)
        names = {file: "/".join(Path(file).parts[-2:]) for file in dict.fromkeys(files) if _is_file(Path(file))}
        self._now = {f: names[file] for f, file in zip(index.frame_ids, files, strict=True) if file in names}
        self._then = self._read()

    def check(self) -> None:
        """Whether the frames that were asked for or answered are the pictures that they were.

        Warns:
            UserWarning: such a picture is another frame now, so that its answers are not found.

        Raises:
            ValueError: such a frame is another picture now.
        """
        refusals = Refusals(self._file)
        for frame_id, then in self._then.items():
            now = self._now.get(frame_id)
            if now is not None and Path(now).name != Path(then).name:
                refusals.add("frames of this store are other pictures now", f"{frame_id} was {then} and is {now}")
        refusals.tell(
            "pictures without a number of their own in the name are counted in the order of names: put those that came "
            "later into another folder, or give the oracle another store"
        )
        frame_of = {picture: frame_id for frame_id, picture in self._now.items()}
        moved = [
            f"{picture} was {frame_id} and is {frame_of[picture]}"
            for frame_id, picture in self._then.items()
            if frame_id not in self._now and picture in frame_of
        ]
        if moved:
            warnings.warn(
                f"{self._file}: {len(moved)} frames of this store seem to have other names now ({first_of(moved)}), so "
                "their answers are not found; recordings are named by their folders and, where a folder has several "
                "patients, by these",
                stacklevel=2,
            )

    def note(self, frame_ids: Iterable[str]) -> None:
        """These frames have rows in the store.

        Raises:
            OSError: the file cannot be written.
        """
        new = {f: self._now[f] for f in frame_ids if f in self._now and f not in self._then}
        if new:
            with FileLock(self._file.with_name(".pictures.lock")), whole(self._file) as unfinished:
                self._then = new | self._read()  # others add too
                unfinished.write_text(json.dumps(self._then, indent=0, ensure_ascii=False), encoding="utf-8")

    def _read(self) -> dict[str, str]:
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else "{}"
        known: dict[str, str] = json.loads(text)
        return known


def _is_file(path: Path) -> bool:
    """Whether it is a picture or a video, and not the folder of pictures that are no longer there."""
    return path.suffix.lower() in SUFFIXES or not path.is_dir()
