"""Requests as folders, of which each gets its name when it is whole."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from pathlib import Path

from filelock import FileLock

from mtal.annotation.request import Request
from mtal.annotation.stored import StoredAnswers
from mtal.datasets.dataset import SurgicalDataset


class RequestFolders(StoredAnswers):
    """Each request is a folder ``<root>/<request>/`` that people take to their tool, and bring back.

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
        """See :class:`~mtal.annotation.oracle.Oracle`.

        What the store has an answer to, from this run or another, is not asked for.

        Raises:
            FileNotFoundError: a recording is gone.
            ValueError: a frame cannot be read.
        """
        folder = self.root / request.id
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / f".{request.id}.lock"):  # another run that begins with the same frames asks the same
            self.add([])
            left = self.left(request)
            if not folder.exists():
                if not len(left.frames):
                    return
                unfinished = self.root / f".{request.id}"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                try:
                    self.write(unfinished, request.id, left)
                    unfinished.rename(folder)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
            self.note_asked(request.id, left)

    @abstractmethod
    def write(self, folder: Path, name: str, request: Request) -> None:
        """Fill a new folder, which is to be called ``name``, with what is asked for."""

    def where(self, request: Request) -> str:
        """The folder."""
        return str(self.root / request.id)
