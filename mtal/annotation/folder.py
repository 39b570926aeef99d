"""People who label in a folder, with any tool."""

from __future__ import annotations

import shutil
from pathlib import Path

from mtal.annotation import form
from mtal.annotation.answers import Answer
from mtal.annotation.given_back import GivenBack, Known
from mtal.annotation.hand_out import write_hand_out
from mtal.annotation.request import Request
from mtal.annotation.stored import StoredAnswers
from mtal.datasets.dataset import SurgicalDataset
from mtal.refusals import Refusals


class FolderOracle(StoredAnswers):
    """Each request is a folder ``<root>/<request>/``; see its ``README.txt`` for how it is filled in.

    A copy ``<root>/<request>.<name>/`` is the work of another annotator.

    Args:
        dataset: frames and heads.
        root: where the requests go.
        store: folder of the labels; ``<root>/labels`` where ``None``.
        wait: whether to wait for answers that are owed, rather than end.
        poll_s: seconds between two looks while waiting.
    """

    def __init__(
        self,
        dataset: SurgicalDataset,
        root: Path | str,
        store: Path | str | None = None,
        *,
        wait: bool = False,
        poll_s: float = 30.0,
    ) -> None:
        self.root = Path(root)
        super().__init__(dataset, self.root / "labels" if store is None else store, wait=wait, poll_s=poll_s)

    def ask(self, request: Request) -> None:
        """See :class:`~mtal.annotation.oracle.Oracle`; the folder gets its name when it is whole.

        What the store has an answer to, from this run or another, is not asked for.

        Raises:
            FileNotFoundError: a recording is gone.
            ValueError: a frame cannot be read.
        """
        folder = self.root / request.id
        self.add([])
        left = self.left(request)
        if not folder.exists():
            if not len(left.frames):
                return
            unfinished = self.root / f".{request.id}"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            try:
                write_hand_out(unfinished, request.id, left, {m.task: m for m in self.dataset.label_maps})
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        self.note_asked(request.id, left)

    def collect(self) -> None:
        """See :class:`~mtal.annotation.oracle.Oracle`; corrections of earlier requests are taken in as well."""
        self.add([])
        known = Known.of(self.view.answers)
        refusals = Refusals()
        answers: list[Answer] = []
        for file in sorted(self.root.glob(f"[!.]*/{form.REQUEST}")):
            annotator = file.parent.name.partition(".")[2]
            answers += GivenBack(file.parent, annotator, self.store.label_maps).answers(known, refusals)
        self.add(answers)
        refusals.tell()

    def where(self, request: Request) -> str:
        """The folder."""
        return str(self.root / request.id)
