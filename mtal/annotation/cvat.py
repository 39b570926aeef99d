"""People who label with CVAT, by files: tasks that it imports, and what it exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from mtal.annotation import about
from mtal.annotation.answers import Answer, Said, now
from mtal.annotation.cvat_entry import Entry
from mtal.annotation.cvat_export import SUFFIXES, entries
from mtal.annotation.cvat_labels import CvatLabels
from mtal.annotation.cvat_task import GIVEN_BACK, write_task
from mtal.annotation.files_read import FilesRead
from mtal.annotation.request import Request
from mtal.annotation.request_folders import RequestFolders
from mtal.datasets.dataset import SurgicalDataset
from mtal.refusals import Refusals
from mtal.suggest import nearest

TOOL = "cvat"
"""Its answers have no seconds, as its exports have none."""
_CLEAN, _FAULTY = "clean", "faulty"


class CvatOracle(RequestFolders):
    """Each request is a task as files; its exports are put into ``<root>/<request>/given_back/``.

    Those in ``given_back/<name>/`` are of another annotator. Of several exports of one annotator the newest counts,
    image by image. Arguments and errors as for :class:`~mtal.annotation.request_folders.RequestFolders`, and:

    Raises:
        ValueError: CVAT cannot have labels of these names.
    """

    def __init__(self, dataset: SurgicalDataset, *arguments: Any, **options: Any) -> None:
        self.labels = CvatLabels(dataset.label_maps)
        super().__init__(dataset, *arguments, **options)

    def write(self, folder: Path, name: str, request: Request) -> None:
        """See :func:`~mtal.annotation.cvat_task.write_task`."""
        write_task(folder, name, request, self.labels)

    def where(self, request: Request) -> str:
        """CVAT, and the folder for exports."""
        return f"CVAT, as README.txt says, with exports into {self.root / request.id / GIVEN_BACK}"

    def take_in(self) -> None:
        """See :class:`~mtal.annotation.stored.StoredAnswers`; an export that was taken in is not read again."""
        told = self.view.answers
        who = told[["frame_id", "task", "annotator"]].itertuples(index=False, name=None)
        known: dict[Any, str] = dict(zip(who, told["source"], strict=True))
        read = FilesRead(self.store.read_file)
        refusals = Refusals()
        answers: list[Answer] = []
        for file in sorted(self.root.glob(f"[!.]*/{about.FILE}")):
            with refusals:
                asked = about.read_about(file.parent, self.store.label_maps)
                again: set[str] = set()  # of whom an older export is new: what is newer is to be read after it
                for export, annotator in _exports(file.parent / GIVEN_BACK, refusals):
                    content = f"{asked['id']}/{annotator}/{read.digest(export)}"
                    if content not in read.states:
                        again.add(annotator)
                    if read.states.get(content) == _CLEAN and annotator not in again:
                        continue
                    faults = Refusals()
                    found = list(self._answers(export, annotator, asked, known, faults))
                    if annotator in again:  # else they are in, and later ones may be as well
                        answers += found
                        known |= {(a.frame_id, a.task, a.annotator): a.source for a in found}
                    read.note(content, _FAULTY if len(faults) else _CLEAN)
                    with refusals:
                        faults.tell()
        self.add(answers)
        read.save()
        refusals.tell()

    def _answers(
        self, export: Path, annotator: str, asked: dict[str, Any], known: dict[Any, str], faults: Refusals
    ) -> Iterator[Answer]:
        """What is new in an export; what is wrong goes to ``faults``."""
        frames = {frame["image"]: frame for frame in asked["frames"]}
        seen: set[str] = set()
        time = now()
        with TemporaryDirectory() as scratch:
            for entry in entries(export, Path(scratch), self.labels, faults):
                with faults:
                    frame = self._frame(entry, frames, seen)
                    for task in frame["asked"]:
                        with faults:
                            answer = self._answer(entry, frame, task, annotator, known)
                            if answer is not None:
                                yield replace(answer, tool=TOOL, request=asked["id"], time=time)

    def _frame(self, entry: Entry, frames: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        """What was asked of the frame of an entry, which could be an answer."""
        name = PurePosixPath(entry.name.replace("\\", "/")).name
        if name not in frames:
            raise ValueError(f"{entry.where}: nobody asked for it{nearest(name, frames)}; take it out")
        if name in seen:
            raise ValueError(f"{entry.where}: it is there twice; keep one")
        seen.add(name)
        frame: dict[str, Any] = frames[name]
        entry.check((frame["size"][0], frame["size"][1]), self.labels)
        return frame

    def _answer(
        self, entry: Entry, frame: dict[str, Any], task: str, annotator: str, known: dict[Any, str]
    ) -> Answer | None:
        """``None`` where it is owed, or known."""
        said = entry.says(task, self.labels)
        if said is None:
            return None
        mark = entry.mark(task, said, self.labels)
        if known.get((frame["frame_id"], task, annotator)) == mark:
            return None
        label = None
        if said is Said.LABELLED:
            label = entry.label(task, (frame["size"][0], frame["size"][1]), self.labels)
            said = Said.NOT_ANNOTATED if label is None else said
        return Answer(frame["frame_id"], task, said, label, annotator, source=mark)


def _exports(folder: Path, refusals: Refusals) -> list[tuple[Path, str]]:
    """The exports that were given back, and whose they are; the oldest first."""
    files = [(f, "") for f in folder.glob("[!.]*") if f.is_file()]
    files += [(f, f.parent.name) for f in folder.glob("[!.]*/[!.]*") if f.is_file()]
    for file, _ in sorted(files):
        with refusals:
            if file.suffix.lower() not in SUFFIXES:
                raise ValueError(
                    f"{file}: this is no export of CVAT, which is one of {', '.join(SUFFIXES)}; take it away"
                )
    kept = [(file, who) for file, who in files if file.suffix.lower() in SUFFIXES]
    return sorted(kept, key=lambda one: (one[0].stat().st_mtime_ns, str(one[0])))
