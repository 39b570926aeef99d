"""What oracles of people have in common: their answers are in a label store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mtal.annotation.answers import Answer, Said
from mtal.annotation.availability import Availability, State
from mtal.annotation.known_pictures import KnownPictures
from mtal.annotation.request import Request, Status
from mtal.annotation.store import LabelStore
from mtal.annotation.view import LabelView
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE
from mtal.datasets.label_table import LabelTable
from mtal.frames.index import FrameIds
from mtal.refusals import refuse


class StoredAnswers(ABC):
    """Labels, availability and progress, by what a :class:`LabelStore` holds.

    Args:
        dataset: frames and heads.
        store: folder of the labels.
        wait: whether to wait for answers that are owed, rather than end.
        poll_s: seconds between two looks while waiting.

    Raises:
        ValueError: the store holds labels of heads with other classes, or of frames that are other pictures now, or
            ``poll_s`` is not above 0.
    """

    asks_people = True

    def __init__(
        self, dataset: SurgicalDataset, store: Path | str, *, wait: bool = False, poll_s: float = 30.0
    ) -> None:
        refuse(StoredAnswers.option_faults(poll_s=poll_s))
        self.dataset = dataset
        self.poll_s = poll_s if wait else None
        self.store = LabelStore(store, dataset.label_maps)
        self._pictures = KnownPictures(self.store.root, dataset.index)
        self._pictures.check()
        self._pictures.note(self.store.rows()["frame_id"].unique())  # of stores that were begun without
        self._view: LabelView | None = None

    @classmethod
    def option_faults(cls, **options: Any) -> Iterator[str]:
        """What is wrong with the arguments, as far as it can be told without data."""
        poll_s = options.get("poll_s", 30.0)
        if not poll_s > 0:
            yield f"oracle.poll_s must be seconds above 0, not {poll_s}"

    def collect(self) -> None:
        """See :class:`~mtal.annotation.oracle.Oracle`; of several runs of one store one collects at a time."""
        with self.store.reading():
            self.add([])
            self.take_in()

    @abstractmethod
    def take_in(self) -> None:
        """Put what is new of the annotators' answers into the store, corrections of earlier requests among it."""

    @property
    def view(self) -> LabelView:
        """The labels as they were when last collected."""
        if self._view is None:
            self._view = self.store.view()
        return self._view

    @property
    def answers(self) -> LabelTable:
        """See :class:`~mtal.annotation.oracle.Oracle`."""
        return self.view.labels.seen_through(self.dataset.labels.windows)

    @property
    def digest(self) -> str:
        """See :class:`~mtal.annotation.oracle.Oracle`."""
        return self.view.digest

    def availability(self, frame_ids: FrameIds, tasks: Sequence[str]) -> Availability:
        """See :class:`~mtal.annotation.oracle.Oracle`; what is labelled already can be asked for, and is answered."""
        known = Availability(frame_ids, tasks)
        states, mine = self.view.states, set(frame_ids)
        for task in tasks:
            rows = states[(states["task"] == task) & (states["state"] == Said.NOT_ANNOTATED)]
            known.mark([f for f in rows["frame_id"] if f in mine], State.NEVER, [task])
        known.mark(sorted(self.view.unusable & mine), State.NEVER)
        return known

    def label(self, frame_ids: Sequence[str], size: tuple[int, int]) -> dict[str, np.ndarray]:
        """See :class:`~mtal.annotation.oracle.Oracle`; what is not answered is not annotated."""
        labels = self.answers
        there = set(labels.frame_ids)
        known = [i for i, f in enumerate(frame_ids) if f in there]
        found: dict[str, np.ndarray] = {}
        for label_map in self.dataset.label_maps:
            layers = () if label_map.exclusive else (len(label_map.classes),)
            pixels = size if label_map.support == "pixel" else ()
            found[label_map.task] = np.full((len(frame_ids), *layers, *pixels), IGNORE, dtype=np.uint8)
            if known:
                found[label_map.task][known] = labels.targets(label_map.task, [frame_ids[i] for i in known], size)
        return found

    def status(self, request: Request) -> Status:
        """See :class:`~mtal.annotation.oracle.Oracle`."""
        open_ = self._open(request)  # [N, T]
        ids = np.array(request.frame_ids, dtype=object)
        owed = {task: ids[open_[:, t]].tolist() for t, task in enumerate(request.tasks)}
        answers = self.view.answers[self.view.answers["frame_id"].isin(request.frame_ids)]
        by = answers.groupby("annotator")["frame_id"].nunique()
        return Status(
            len(request.frames),
            int((~open_.any(axis=1)).sum()),
            owed,
            self.where(request),
            {str(who): int(n) for who, n in by.items()},
            self._seconds(owed),
        )

    def left(self, request: Request) -> Request:
        """What of a request nobody has answered so far, for this or for another run."""
        open_ = self._open(request)
        rows = np.flatnonzero(open_.any(axis=1))
        guess = request.guess

        def guessed(row: int, size: tuple[int, int]) -> Mapping[str, np.ndarray]:
            assert guess is not None
            return guess(int(rows[row]), size)

        frames = request.frames.iloc[rows].reset_index(drop=True)
        return replace(request, frames=frames, asked=open_[rows], guess=None if guess is None else guessed)

    def _open(self, request: Request) -> npt.NDArray[np.bool_]:
        """Which heads of which frames are owed, ``[N, T]``."""
        states = self.view.states
        answered = set(map(tuple, states.loc[states["state"] != Said.ASKED, ["frame_id", "task"]].to_numpy().tolist()))
        unusable = self.view.unusable
        owed = [[f not in unusable and (f, t) not in answered for t in request.tasks] for f in request.frame_ids]
        return np.array(owed, dtype=bool).reshape(request.asked.shape) & request.asked

    @abstractmethod
    def where(self, request: Request) -> str:
        """Where the answers to a request go, for people."""

    def note_asked(self, name: str, request: Request) -> None:
        """Put what is asked for under a name into the store, once."""
        rows = self.store.rows()
        rows = rows[(rows["state"] == Said.ASKED) & (rows["request"] == name)]
        there = set(zip(rows["frame_id"], rows["task"], strict=True))
        self.add(
            [
                Answer(frame_id, task, Said.ASKED, request=name)
                for frame_id, asked in zip(request.frame_ids, request.asked, strict=True)
                for task, is_asked in zip(request.tasks, asked, strict=True)
                if is_asked and (frame_id, task) not in there
            ]
        )

    def add(self, answers: Sequence[Answer]) -> None:
        """Add to the store, and look at it anew whether others have added or not."""
        if answers:
            self._pictures.note({answer.frame_id for answer in answers})  # first: what is answered is never unknown
            self.store.add(answers)
        self._view = None

    def _seconds(self, owed: dict[str, list[str]]) -> float:
        """What the rest will take, head by head, by the median of what each took."""
        took = self.view.answers.groupby("task")["seconds"].median()
        each = [len(some) * float(took.get(task, np.nan)) for task, some in owed.items() if some]
        return float(sum(each))
