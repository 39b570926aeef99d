"""The project of a run in Label Studio: found or made once, and filled so that nothing is in it twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtal.annotation.label_studio import interface
from mtal.annotation.label_studio.server import TOKEN, Server
from mtal.datasets.label_map import LabelMap
from mtal.whole_files import whole_or_not

MODEL = "model"
"""The name of its predictions, of which Label Studio shows one."""
_MARK = "Asked for by mtal; its answers go to the label store."
_INSTRUCTION = (
    "Every head that the title asks for needs an answer: tick or paint what is there, or tick that none of it is there "
    "or that it cannot be told; what is left open is asked for again. Where painted regions overlap, the one that was "
    "begun last counts. A picture that is good for nothing is unusable. To skip a picture says that nothing in it can "
    "be told."
)
_whole = partial(whole_or_not, elsewhere="give the oracle another store")
Task = dict[str, Any]


class Project:
    """A project of one title on one server.

    Its number is kept in ``folder``, so that it is the same one after somebody renames it. Where none is kept, as when
    the process died once it had asked for the project, the oldest of that title that bears our mark is taken.

    Args:
        server: where it is.
        title: of the project.
        folder: where its number and what was read of it are kept.
        label_maps: of the heads.
    """

    def __init__(self, server: Server, title: str, folder: Path, label_maps: Iterable[LabelMap]) -> None:
        self.server, self.title, self.label_maps = server, title, list(label_maps)
        name = hashlib.blake2b(f"{server.url} {title}".encode(), digest_size=8).hexdigest()
        self._number_file, self._read_file = folder / f"{name}.project.json", folder / f"{name}.read.json"

    @cached_property
    def number(self) -> int:
        """Its number on the server; the project is made where there is none.

        Raises:
            PermissionError: the token's owner may not see projects.
            ValueError: another project has the title.
        """
        self._number_file.parent.mkdir(parents=True, exist_ok=True)
        # runs of a sweep have one project, and only one of them makes it
        with FileLock(self._number_file.with_name(f".{self._number_file.name}.lock")):
            if self.known:
                return int(json.loads(self._number_file.read_text(encoding="utf-8"))["project"])
            number = self._found()
            if number is None:
                number = self._make()
            _write(self._number_file, {"url": self.server.url, "title": self.title, "project": number})
        return number

    @property
    def known(self) -> bool:
        """Whether it was asked for before."""
        return self._number_file.exists()

    @property
    def where(self) -> str:
        """For people."""
        number = f"/projects/{self.number}" if self.known else ""
        return f"{self.server.url}{number} (project {self.title!r})"

    def task_url(self, task: int) -> str:
        """Where a task is looked at."""
        return f"{self.server.url}/projects/{self.number}/data?task={task}"

    def check(self) -> None:
        """Look at the labelling interface.

        Raises:
            ValueError: somebody has changed what labels mean, or taken some out.
        """
        changes = interface.differences(self._about()["parsed_label_config"], self.label_maps)
        if changes:
            raise ValueError(
                f"{self.where}: its labelling interface is not that of this run: {'; '.join(changes)}. Put that back "
                "in Settings > Labeling Interface, or give oracle.project another title"
            )

    def tasks(self) -> list[Task]:
        """All tasks, without what was annotated."""
        try:
            return list(self.server.tasks(self.number))
        except LookupError:
            raise self._gone() from None

    def annotated(self, numbers: Sequence[int]) -> Iterable[Task]:
        """Some tasks with what was annotated."""
        for start in range(0, len(numbers), _SOME):
            yield from self.server.tasks(self.number, numbers[start : start + _SOME])

    def uploaded(self) -> dict[str, str]:
        """Name of each file that was uploaded → where it is."""
        found = self.server.get(f"/api/projects/{self.number}/file-uploads", all="true")
        return {Path(f["file"]).name.partition("-")[2]: f"/data/{f['file']}" for f in found}

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Send pictures that tasks will name."""
        self.server.upload(f"/api/projects/{self.number}/import", files, commit_to_project="false")

    def add(self, tasks: Sequence[Task]) -> None:
        """Make tasks, which are handed out in this order."""
        self.server.post(f"/api/projects/{self.number}/import", list(tasks))

    def remove(self, task: int) -> None:
        """Take a task out, unless somebody else was quicker."""
        with suppress(LookupError):
            self.server.delete(f"/api/tasks/{task}/")

    def users(self) -> dict[int, str]:
        """Number → address of all who have an account."""
        return {user["id"]: user.get("email") or f"user {user['id']}" for user in self.server.get("/api/users/")}

    @property
    def read(self) -> dict[str, str]:
        """Task → mark of the state in which it was read without a fault; forgetting it costs time alone."""
        if not self._read_file.exists():
            return {}
        found: dict[str, str] = json.loads(self._read_file.read_text(encoding="utf-8"))
        return found

    @read.setter
    def read(self, marks: Mapping[str, str]) -> None:
        _write(self._read_file, marks)

    def _about(self) -> dict[str, Any]:
        try:
            about: dict[str, Any] = self.server.get(f"/api/projects/{self.number}/")
        except LookupError:
            raise self._gone() from None
        return about

    def _gone(self) -> Exception:
        """Why it cannot be seen."""
        return self._outsider() or LookupError(
            f"project {self.number} ({self.title!r}) is gone from {self.server.url}; restore it from a backup of Label "
            f"Studio, or delete {self._number_file} to ask anew for what the label store has no answer to"
        )

    def _outsider(self) -> PermissionError | None:
        """Who has been taken out of the organisation is shown an empty server, without projects, tasks or people."""
        if self.users():
            return None
        return PermissionError(
            f"Label Studio at {self.server.url}: the owner of the token in {TOKEN} belongs to no organisation there, "
            "and so is shown no project; take the token of somebody who can open the project"
        )

    def _found(self) -> int | None:
        page, found = 1, []
        while True:
            some = self.server.get("/api/projects/", title=self.title, page=page, page_size=100)
            found += [p for p in some["results"] if p["title"] == self.title]
            if not some["next"]:
                break
            page += 1
        ours = [p["id"] for p in found if _MARK in (p.get("description") or "")]
        if found and not ours:
            raise ValueError(
                f"{self.server.url} has a project {self.title!r} already (number {found[0]['id']}), which is none of "
                "ours; rename it there, or give oracle.project another title"
            )
        return min(ours, default=None)

    def _make(self) -> int:
        if outsider := self._outsider():
            raise outsider
        about = {
            "title": self.title,
            "description": _MARK,
            "label_config": interface.drawn(self.label_maps),
            "expert_instruction": _INSTRUCTION,
            "show_instruction": True,
            "sampling": "Sequential sampling",
            "show_collab_predictions": True,
            "model_version": MODEL,
        }
        return int(self.server.post("/api/projects/", about)["id"])


_SOME = 20  # tasks with their masks in one answer


def _write(path: Path, content: Any) -> None:
    with _whole(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
