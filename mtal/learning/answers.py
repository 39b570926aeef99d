"""What the oracle says of the frames that were picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mtal.annotation import Availability, Oracle
from mtal.annotation.seconds import took
from mtal.datasets.masks import Masks, SomeLabels, joined, take
from mtal.frames.cache import FrameArray
from mtal.learning.fingerprints import label_digests
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
    """

    def __init__(self, oracle: Oracle, tasks: Sequence[Task], frames: FrameArray, availability: Availability) -> None:
        self.oracle, self.tasks, self.frames, self.availability = oracle, tasks, frames, availability

    def of(self, frame_ids: Sequence[str]) -> dict[str, SomeLabels]:
        """Labels of N frames by task; masks one by one, asked for a few frames at a time."""
        found: dict[str, SomeLabels] = {}
        for start in range(0, len(frame_ids), _FRAMES):
            answer = self.oracle.label(frame_ids[start : start + _FRAMES], self.frames.size)
            for task in self.tasks:
                some = Masks.of(answer[task.name]) if task.support == "pixel" else answer[task.name]
                found[task.name] = joined(found[task.name], some) if start else some
        return found

    def known(self, folder: RunFolder) -> tuple[list[str], dict[str, SomeLabels]]:
        """The frames picked so far of which there is any label, with their labels."""
        frame_ids = folder.labelled()
        if not frame_ids:
            return [], {}
        known = self.of(frame_ids)
        got = labelled_frames(self.tasks, known)
        self.availability.answered(frame_ids, got)
        rows = np.flatnonzero(np.any(list(got.values()), axis=0))  # the others turned out to be unusable
        return [frame_ids[i] for i in rows.tolist()], {task: take(some, rows) for task, some in known.items()}

    def digests(self, frame_ids: Sequence[str]) -> pd.DataFrame:
        """See :meth:`mtal.learning.run_folder.Fingerprints.digests`."""
        some = [frame_ids[i : i + _FRAMES] for i in range(0, len(frame_ids), _FRAMES)]
        return pd.concat([label_digests(ids, self.of(ids)) for ids in some], ignore_index=True)

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
