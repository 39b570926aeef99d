"""People who label in Label Studio."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtal.annotation.answers import Answer, Said
from mtal.annotation.label_studio.annotated import TOOL, Annotated, Known
from mtal.annotation.label_studio.asking import make_tasks
from mtal.annotation.label_studio.project import Project, Task
from mtal.annotation.label_studio.server import Server, address_faults
from mtal.annotation.label_studio.tasks import Key, key
from mtal.annotation.request import Request
from mtal.annotation.stored import StoredAnswers
from mtal.datasets.dataset import SurgicalDataset
from mtal.refusals import Refusals, refuse


class LabelStudioOracle(StoredAnswers):
    """Each frame is a task of a project in Label Studio, and each annotation that is submitted an answer.

    The project is made once. A task says which request and frame it is of, so that none is made twice, whenever the
    process was ended. Annotations are taken in as they stand: the newest of each annotator counts, a skipped task
    says that nothing in it can be told, and what is deleted is owed again. The seconds of an answer are the lead time
    of its annotation, of which each head that is answered has an equal share.

    The token of somebody who may change the project is read from ``LABEL_STUDIO_API_KEY``.

    Args:
        dataset: frames and heads.
        url: of the server.
        store: folder of the labels.
        project: title of the project, 3 to 50 signs.
        wait: whether to wait for answers that are owed, and for a server that is away, rather than end.
        poll_s: seconds between two looks while waiting.

    Raises:
        ValueError: the title is too short or too long, or ``url`` is no address.
    """

    def __init__(
        self,
        dataset: SurgicalDataset,
        url: str,
        store: Path | str,
        project: str,
        *,
        wait: bool = False,
        poll_s: float = 30.0,
    ) -> None:
        refuse(self.option_faults(url=url, project=project, poll_s=poll_s))
        super().__init__(dataset, store, wait=wait, poll_s=poll_s)
        self.project = Project(Server(url), project, self.store.root / TOOL, dataset.label_maps)

    @classmethod
    def option_faults(cls, **options: Any) -> Iterator[str]:
        """See :class:`~mtal.annotation.stored.StoredAnswers`."""
        yield from super().option_faults(**options)
        yield from address_faults(options["url"])
        project = options["project"]
        if not 3 <= len(project) <= 50:
            yield f"oracle.project={project!r}: Label Studio takes titles of 3 to 50 signs; give another"

    def ask(self, request: Request) -> None:
        """See :class:`~mtal.annotation.oracle.Oracle`; what the store has an answer to is not asked for.

        Raises:
            AwayError: the server does not answer.
            FileNotFoundError: a recording is gone.
            LookupError: the project is gone.
            PermissionError: the token is not known, or may not do this.
            ValueError: a frame cannot be read, or somebody changed the labelling interface.
        """
        self.add([])
        left = self.left(request)
        if not len(left.frames):
            return
        there, name = self._once(self._tasks()), request.id
        rows = [row for row, f in enumerate(left.frame_ids) if (name, f) not in there]
        if rows:
            self.project.check()
            self.note_asked(name, left)  # first, so that no task is ever there that this store did not ask for
            make_tasks(self.project, request, left, rows)
            self._once(self._tasks())  # a call that broke off before may have made its tasks after all

    def take_in(self) -> None:
        """See :class:`~mtal.annotation.stored.StoredAnswers`; corrections of earlier requests are taken in as well.

        Raises:
            AwayError: the server does not answer.
            LookupError: the project is gone.
            PermissionError: the token is not known, or may not do this.
            ValueError: answers are wrong, or are of frames that nobody asked for; all others have been taken in.
        """
        if not self.project.known:
            return
        refusals = Refusals()
        with refusals:
            self.project.check()
        tasks, asked, known = self._tasks(), self._asked(), self._known()
        with refusals:
            self._refuse_others([task for k, some in tasks.items() if k not in asked for task in some])
        ours = {k: some for k, some in tasks.items() if k in asked}
        read = self.project.read
        marks = {_number(task): _mark(task) for some in ours.values() for task in some}
        new = {k: some for k, some in ours.items() if k in known or any(map(_is_annotated, some))}
        new = {k: some for k, some in new.items() if any(_mark(t) != read.get(_number(t)) for t in some)}
        names = self.project.users() if new else {}
        answers: list[Answer] = []
        for k, some in self._annotated(new):
            faults = len(refusals)
            found = Annotated(k, some, names, self.dataset.label_maps, self.project.task_url)
            answers += found.answers(known.get(k, Known()), refusals)
            if len(refusals) == faults:
                new.pop(k)
        for some in new.values():  # are to be read again, and what is wrong told again
            marks |= dict.fromkeys(map(_number, some), "")
        self.add(answers)
        if marks != read:
            self.project.read = marks
        refusals.tell()

    def where(self, request: Request) -> str:
        """The project."""
        return self.project.where

    def _tasks(self) -> dict[Key | None, list[Task]]:
        """Request and frame → its tasks, the oldest first; ``None`` → tasks that are none of ours."""
        found: dict[Key | None, list[Task]] = {}
        for task in self.project.tasks():
            found.setdefault(key(task), []).append(task)
        return found

    def _once(self, tasks: Mapping[Key | None, list[Task]]) -> Mapping[Key | None, list[Task]]:
        """Take out the second task of a frame, unless somebody has begun with it."""
        for k, some in tasks.items():
            for task in some[1:] if k is not None else ():
                if not _is_annotated(task):
                    self.project.remove(task["id"])
        return tasks

    def _asked(self) -> set[Key]:
        """All that this store ever asked for."""
        rows = self.store.rows()
        rows = rows[rows["state"] == Said.ASKED]
        return set(zip(rows["request"], rows["frame_id"], strict=True))

    def _refuse_others(self, others: list[Task]) -> None:
        if others:
            first = ", ".join(str(task["id"]) for task in others[:3])
            raise ValueError(
                f"{self.project.where}: this label store never asked for {len(others)} of its tasks (first {first}); "
                "delete them there, or give the run the store that did"
            )

    def _known(self) -> dict[Key, Known]:
        """Request and frame → what stands there, as it was last read."""
        rows = self.store.rows()
        rows = rows[(rows["tool"] == TOOL) & (rows["state"] != Said.ASKED)]
        found: dict[Key, Known] = {}
        columns = ("request", "frame_id", "task", "annotator", "source", "seconds")
        for request, frame_id, task, annotator, source, seconds in zip(*(rows[c] for c in columns), strict=True):
            known = found.setdefault((request, frame_id), Known())
            known.marks.pop((task, annotator), None)
            mark, _, where = source.partition(" ")
            annotation, _, task_url = where.partition(" ")
            if mark:  # else it was taken back
                known.marks[task, annotator] = mark
                known.tasks[task, annotator] = task_url
                known.spent[annotation] = known.spent.get(annotation, 0.0) + (0.0 if math.isnan(seconds) else seconds)
        return found

    def _annotated(self, tasks: Mapping[Key, list[Task]]) -> Iterator[tuple[Key, list[Task]]]:
        """The tasks of each frame with what was annotated; none of frames of which one has just gone."""
        frames = {number: k for k, some in tasks.items() for number in map(_number, some)}
        count = {k: len(some) for k, some in tasks.items()}
        found: dict[Key, list[Task]] = {}
        for task in self.project.annotated([int(number) for number in frames]):
            k = frames[_number(task)]
            found.setdefault(k, []).append(task)
            if len(found[k]) == count[k]:
                yield k, found.pop(k)


def _number(task: Task) -> str:
    return str(task["id"])


def _is_annotated(task: Task) -> bool:
    return bool(task["total_annotations"] or task["cancelled_annotations"])


def _mark(task: Task) -> str:
    """Of the state of a task."""
    return f"{task['updated_at']} {task['total_annotations']} {task['cancelled_annotations']}"
