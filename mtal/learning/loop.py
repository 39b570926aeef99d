"""The rounds: pick, label, retrain, evaluate, until the budget is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtal.annotation import settle
from mtal.learning.answers import PICKS, Answers
from mtal.learning.asking import request_picks
from mtal.learning.choosing import Choosing
from mtal.learning.evaluation import known_numbers
from mtal.learning.held_out import HeldOutFrames
from mtal.learning.kept_tables import let_go_of_tables
from mtal.learning.labelled_set import LabelledSet
from mtal.learning.multi_task_loss import check_weighting
from mtal.learning.picks import class_counts, labelled_frames
from mtal.learning.run_folder import RunFolder
from mtal.learning.setup import Setup
from mtal.learning.stop import PoolIsDoneError, note, reason
from mtal.learning.teaching import Lesson, Taught, Teaching
from mtal.learning.timings import read_timings, timed, write_timings

STORE = "store.json"

RoundListener = Callable[[Path, int], None]
"""Called with the run folder and the number of a round that is complete on disk."""


@dataclass
class Experiment(Setup):
    """One run of active learning.

    Args:
        listeners: told of every complete round; for all others see :class:`~mtal.learning.setup.Setup`.

    Raises:
        ValueError: the data, the budget and the acquisition do not fit.
    """

    listeners: Sequence[RoundListener] = ()

    def __post_init__(self) -> None:
        index = self.dataset.index
        pool = index.pool
        if not len(pool) or not (index.table["split"] == "test").any():
            raise ValueError(
                f"data set {self.dataset.name!r} needs frames to learn from and to test on: see data.test_patients"
            )
        self.held_out_frames = HeldOutFrames(
            self.dataset,
            self.frames,
            self.inputs,
            self.tasks,
            self.oracle,
            self.evaluation,
            {"test": self.loop.test_frames, "val": None},
            self.seed,
        )
        check_weighting(self.weighting)
        availability = self.oracle.availability(index.table["frame_id"].iloc[pool], [t.name for t in self.tasks])
        self._answers = Answers(self.oracle, self.tasks, self.frames, availability, self.acquisition.limits.query)
        self._choosing = Choosing(self, availability)
        self._teaching = Teaching(self, self.held_out_frames)

    def run(self, folder: RunFolder) -> dict[str, float]:
        """Go on from whatever rounds ``folder`` holds; returns the metrics of the last one.

        Raises:
            LabelsPendingError: the annotators are not done; call again later.
        """
        if self.oracle.asks_people:
            self.held_out_frames.settle(folder)
        for number in range(folder.complete_rounds(), self.loop.rounds + 1):
            if why := reason(folder, self.loop.stop):
                note(folder, why)
                break
            try:
                self._round(folder, number)
            except PoolIsDoneError as done:
                note(folder, str(done), done)
                break
            for listener in self.listeners:
                listener(folder.path, number)
            let_go_of_tables(folder, self.loop.keep_tables_gib, self.acquisition.blend.frozen_statistics)
        else:
            note(folder, "")
        folder.forget_scored(folder.complete_rounds())  # of a round that was killed and is wanted no more
        last: dict[str, float] = folder.metrics(folder.complete_rounds() - 1)["metrics"]
        return last

    def _round(self, folder: RunFolder, number: int) -> None:
        """Pick, ask, learn: each is done once, whenever the run is ended in between."""
        before = self._answers.known(folder)
        waiting = folder.picked_path(number)
        if not waiting.is_dir():
            self._choosing.choose(folder, number, before)
        table = pd.read_parquet(waiting / PICKS)
        settle(self.oracle, request_picks(self, folder, number, table), folder.note_waiting)
        timings = read_timings(waiting)
        with folder.round(number) as path:
            with timed(timings, "label"):
                fresh = self._answers.of_picks(table)
                labelled = before.and_(fresh)
            self._answers.keep(path, table, fresh.labels)
            taught = self._teaching.teach(Lesson(number, folder, path, before, fresh, labelled, timings))
            (path / "metrics.json").write_text(json.dumps(self._record(number, fresh, labelled, taught), indent=1))
            if self.oracle.asks_people:
                (path / STORE).write_text(json.dumps({"digest": self.oracle.digest}))
            write_timings(path, timings)

    def _record(self, number: int, fresh: LabelledSet, labelled: LabelledSet, taught: Taught) -> dict[str, Any]:
        """What readers of the run folder are told of a round; picks that turned out to be unusable are not labelled."""
        got = labelled_frames(self.tasks, labelled.labels)
        return {
            "round": number,
            "labelled": int(np.any(list(got.values()), axis=0).sum()),
            "picked": len(fresh),
            "answers": {t: int(n.sum()) for t, n in got.items()},
            **taught.tested,
            **({} if taught.val is None else {"val": known_numbers(taught.val)}),
            "val_labelled": self.val_labelled if self.val_read_by else 0,
            "class_counts": class_counts(self.tasks, labelled.labels),
            "training": taught.training.record(),
            **{some.name: some.record() for some in taught.derived},
        }

    @property
    def val_read_by(self) -> tuple[str, ...]:
        """Options by which the split ``val`` changes what the run does; its labels then are part of what it costs."""
        readers = {
            "trainer.until": self.trainer.until == "plateau",
            "loop.stop.val_flat_rounds": self.loop.stop.val_flat_rounds is not None,
        }
        return tuple(option for option, reads in readers.items() if reads and self.held_out_frames.has_val)

    @property
    def val_labelled(self) -> int:
        """Frames of the split ``val`` with a label of any head."""
        return self.held_out_frames.labelled("val")

    def held_out(self) -> pd.DataFrame:
        """See :class:`~mtal.learning.run_folder.Fingerprints`."""
        return self.held_out_frames.fingerprints()

    def digests(self, frame_ids: Sequence[str], asked: pd.DataFrame) -> pd.DataFrame:
        """See :class:`~mtal.learning.run_folder.Fingerprints`."""
        return self._answers.digests(frame_ids, asked)
