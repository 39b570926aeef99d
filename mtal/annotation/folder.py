"""People who label in a folder, with any tool."""

from __future__ import annotations

from pathlib import Path

from mtal.annotation import about
from mtal.annotation.answers import Answer
from mtal.annotation.files_read import FilesRead
from mtal.annotation.given_back import GivenBack, known_of
from mtal.annotation.hand_out import write_hand_out
from mtal.annotation.request import Request
from mtal.annotation.request_folders import RequestFolders
from mtal.annotation.untouched import Untouched
from mtal.refusals import Refusals


class FolderOracle(RequestFolders):
    """Folders with pictures, masks and a table; see the ``README.txt`` in each for how it is filled in.

    A copy ``<root>/<request>.<name>/`` is the work of another annotator. Arguments as for
    :class:`~mtal.annotation.request_folders.RequestFolders`.
    """

    def write(self, folder: Path, name: str, request: Request) -> None:
        """See :func:`~mtal.annotation.hand_out.write_hand_out`."""
        write_hand_out(folder, name, request, {m.task: m for m in self.dataset.label_maps})

    def take_in(self) -> None:
        """See :class:`~mtal.annotation.stored.StoredAnswers`; corrections of earlier requests are taken in as well."""
        known, read = known_of(self.store.rows()), FilesRead(self.store.read_file)
        refusals, untouched = Refusals(), Untouched()
        answers: list[Answer] = []
        for file in sorted(self.root.glob(f"[!.]*/{about.FILE}")):
            annotator = file.parent.name.partition(".")[2]
            given_back = GivenBack(file.parent, annotator, self.store.label_maps, untouched)
            answers += given_back.answers(known, read, refusals)
        self.add(answers)
        read.save()
        untouched.tell()
        refusals.tell()
