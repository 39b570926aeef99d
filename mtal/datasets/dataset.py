"""What a data set loader returns: frames, what can be asked of them, and the answers that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mtal.datasets.label_map import LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.mask import Size
from mtal.frames.index import FrameIndex, frame_id


@dataclass(frozen=True)
class SurgicalDataset:
    """Frames of surgical video with one label map per task and the labels beside them.

    Args:
        name: name of the data set, for reports.
        index: every frame, with its split.
        label_maps: one per task; their order is the order of the heads.
        labels: a row for each frame of the index.

    Raises:
        ValueError: a task stands twice or has no labels, or a frame has no row of labels.
    """

    name: str
    index: FrameIndex
    label_maps: tuple[LabelMap, ...]
    labels: LabelTable

    def __post_init__(self) -> None:
        tasks = [m.task for m in self.label_maps]
        if len(set(tasks)) != len(tasks):
            raise ValueError(f"data set {self.name!r}: a task stands twice among {', '.join(tasks)}")
        unlabelled = [m.task for m in self.label_maps if self.labels.label_maps.get(m.task) != m]
        if unlabelled:
            raise ValueError(
                f"data set {self.name!r}: the label table knows no task {unlabelled[0]!r} with this label map"
            )
        missing = sorted(set(self.index.frame_ids) - set(self.labels.frame_ids))
        if missing:
            raise ValueError(
                f"data set {self.name!r}: {len(missing)} frames have no row of labels, the first is {missing[0]!r}; "
                "give a frame that nobody annotated a row of None"
            )

    @classmethod
    def from_rows(
        cls,
        name: str,
        rows: Iterable[Mapping[str, Any]],
        label_maps: tuple[LabelMap, ...],
        frame_sizes: Mapping[str, Size | Path] | None = None,
        disjoint_by: Literal["patient", "video"] = "patient",
    ) -> SurgicalDataset:
        """A data set from one mapping per frame, which holds its place in the frame index and its labels.

        Args:
            name: of the data set.
            rows: ``patient, video, frame, time_s, source, split`` of :class:`FrameIndex` and a label for each task, as
                :class:`LabelTable` wants them.
            label_maps: one per task.
            frame_sizes: frame_id, or else video → (H, W), or the picture that has it.
            disjoint_by: what the splits must not share.

        Raises:
            ValueError: the rows contradict each other; see the two tables.
        """
        table = pd.DataFrame([{**row, "frame_id": frame_id(row["video"], row["frame"])} for row in rows], dtype=object)
        return cls(name, FrameIndex(table, disjoint_by), label_maps, LabelTable(table, label_maps, frame_sizes))

    def label_map(self, task: str) -> LabelMap:
        """The label map of one task.

        Raises:
            KeyError: there is no such task.
        """
        for label_map in self.label_maps:
            if label_map.task == task:
                return label_map
        raise KeyError(
            f"data set {self.name!r} has no task {task!r}; it has {', '.join(m.task for m in self.label_maps)}"
        )
