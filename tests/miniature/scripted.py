"""An annotator who knows all labels of a data set, works at known speeds, and answers into a label store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtal.annotation import Answer, Request, Said
from mtal.annotation.stored import StoredAnswers
from mtal.datasets.dataset import SurgicalDataset


class ScriptedOracle(StoredAnswers):
    """Answers what is asked for when it is collected, each head in a sitting of its own.

    Args:
        dataset: with the labels that are told.
        store: folder of the label store.
        frame_s: head → seconds for a frame; unknown where not given.
        owed: frames that are never answered.
    """

    def __init__(
        self, dataset: SurgicalDataset, store: Path, frame_s: dict[str, float] | None = None, owed: int = 0
    ) -> None:
        super().__init__(dataset, store)
        self.frame_s = frame_s or {}
        self.owed = owed
        self._request: Request | None = None

    def ask(self, request: Request) -> None:
        self._request = self.left(request)
        self.note_asked(request.id, self._request)

    def take_in(self) -> None:
        assert self._request is not None
        answers = []
        for frame_id, asked in list(zip(self._request.frame_ids, self._request.asked, strict=True))[self.owed :]:
            size = (64, 64)
            for task, is_asked in zip(self._request.tasks, asked, strict=True):
                if is_asked:
                    pixels = self.store.label_maps[task].support == "pixel"
                    label = self.dataset.labels.targets(task, [frame_id], size if pixels else None)[0]
                    took = self.frame_s.get(task, float("nan"))
                    time = f"2031-05-17 {len(self.view.answers) + len(answers):06d}"
                    answers.append(Answer(frame_id, task, Said.LABELLED, np.array(label), "anna", took, time=time))
        self.add(answers)
        self._request = None

    def where(self, request: Request) -> str:
        return "the script"
