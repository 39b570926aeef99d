"""What the oracle says of the frames that were picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mtal.acquisition.query import Query
from mtal.annotation import Availability, Oracle
from mtal.annotation.seconds import took
from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import Masks, SomeLabels, joined, take
from mtal.frames.cache import FrameArray
from mtal.learning.fingerprints import label_digests
from mtal.learning.labelled_set import LabelledSet
from mtal.learning.picks import labelled_frames, with_labels, write_images
from mtal.learning.run_folder import LABELS, RunFolder
from mtal.tasks.task import Task

PICKS = "picks.parquet"
_FRAMES = 256  # asked of the oracle at a time: masks of a whole pool are many


class Answers:
    """The labels of picked frames, at the size that the model learns from.

    Args:
        oracle: who labels them.
        tasks: the heads.
        frames: the pixels.
        availability: of labels of the pool, which is told of answers.
        query: which heads are asked for.
    """

    def __init__(
        self, oracle: Oracle, tasks: Sequence[Task], frames: FrameArray, availability: Availability, query: Query
    ) -> None:
        self.oracle, self.tasks, self.frames, self.availability = oracle, tasks, frames, availability
        self.query = query

    def of(self, frame_ids: Sequence[str], asked: pd.DataFrame) -> dict[str, SomeLabels]:
        """Labels of N frames by task; masks one by one, asked for a few frames at a time.

        Args:
            frame_ids: the frames.
            asked: frame → ``asked/<task>``, whether the head was asked for; where it was chosen which are, those of
                others count as not annotated, whoever knows them.
        """
        found: dict[str, SomeLabels] = {}
        for start in range(0, len(frame_ids), _FRAMES):
            ids = [*frame_ids[start : start + _FRAMES]]
            answer = self.oracle.label(ids, self.frames.size)
            for task in self.tasks:
                labels = answer[task.name]
                if not self.query.asks_all:
                    labels = labels.copy()
                    labels[~asked.loc[ids, f"asked/{task.name}"].to_numpy(dtype=bool)] = IGNORE
                some = Masks.of(labels) if task.support == "pixel" else labels
                found[task.name] = joined(found[task.name], some) if start else some
        return found

    def of_picks(self, table: pd.DataFrame) -> LabelledSet:
        """The picks of a round, by their table, with their labels."""
        frame_ids = table["frame_id"].tolist()
        return LabelledSet(frame_ids, self.of(frame_ids, table.set_index("frame_id")))

    def known(self, folder: RunFolder) -> LabelledSet:
        """The frames picked so far of which there is any label, with their labels."""
        frame_ids = folder.labelled()
        if not frame_ids:
            return LabelledSet()
        asked = folder.asked()
        known = self.of(frame_ids, asked)
        got = labelled_frames(self.tasks, known)
        were = {t.name: asked.loc[frame_ids, f"asked/{t.name}"].to_numpy(dtype=bool) for t in self.tasks}
        self.availability.answered(frame_ids, got, were)
        rows = np.flatnonzero(np.any(list(got.values()), axis=0))  # the others turned out to be unusable
        labels = {task: take(some, rows) for task, some in known.items()}
        return LabelledSet([frame_ids[i] for i in rows.tolist()], labels)

    def digests(self, frame_ids: Sequence[str], asked: pd.DataFrame) -> pd.DataFrame:
        """See :meth:`mtal.learning.run_folder.Fingerprints.digests`."""
        some = [frame_ids[i : i + _FRAMES] for i in range(0, len(frame_ids), _FRAMES)]
        return pd.concat([label_digests(ids, self.of(ids, asked)) for ids in some], ignore_index=True)

    def keep(self, path: Path, table: pd.DataFrame, labels: Mapping[str, SomeLabels]) -> None:
        """Write the labels of a round's picks into its folder.

        Args:
            path: the folder.
            table: the picks.
            labels: of them.
        """
        if self.oracle.view is not None:
            time = took(self.oracle.view, table["frame_id"].tolist())
            table = table.join(time) if time["took_s"].notna().any() else table
        with_labels(table, labels, self.tasks).to_parquet(path / PICKS, index=False)
        label_digests(table["frame_id"].tolist(), labels).to_parquet(path / LABELS, index=False)
        write_images(path / "images", self.frames, np.empty(0, dtype=np.int64), labels, {})
