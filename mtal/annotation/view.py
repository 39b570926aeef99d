"""The labels of a store as they stand: the newest word of each annotator, and what they say together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.annotation.answers import Said
from mtal.annotation.consensus import StoredMask, majority, read_stored, values_of
from mtal.datasets.label_map import LabelMap
from mtal.datasets.label_table import LabelTable

_KEY = ["frame_id", "task"]


class LabelView:
    """What the rows of a store come to.

    Of each annotator the newest answer counts that was not withdrawn where it was given: two requests may ask the same.
    A label is what most annotators say, class by class or pixel by pixel, and ``IGNORE`` where that is tied. A head of
    a frame is labelled where anybody labelled it, not annotated where all who looked could not tell, and asked where
    nobody has answered; one annotator who finds the frame unusable takes it out, all heads of it.

    Attributes:
        told: all that was ever answered, what was corrected or withdrawn since among it.
        answers: what counts of it.
        asked: what was asked for.

    Args:
        rows: of :meth:`mtal.annotation.store.LabelStore.rows`.
        label_maps: of the tasks, with the values of the store's masks.
        root: the store.
    """

    def __init__(self, rows: pd.DataFrame, label_maps: Mapping[str, LabelMap], root: Path) -> None:
        self.label_maps = dict(label_maps)
        self.root = root
        mine = rows[rows["task"].isin(list(self.label_maps))]
        newest = mine.sort_values("revision", kind="stable").drop_duplicates([*_KEY, "annotator", "state"], keep="last")
        asked = newest[newest["state"] == Said.ASKED].drop_duplicates(_KEY, keep="last")
        self.told = mine[mine["state"] != Said.ASKED]
        told = self.told.sort_values("revision", kind="stable")
        told = told.drop_duplicates([*_KEY, "annotator", "request"], keep="last")
        told = told[told["state"] != Said.WITHDRAWN]
        told = told.drop_duplicates([*_KEY, "annotator"], keep="last")
        self.answers = told.sort_values([*_KEY, "annotator"], kind="stable", ignore_index=True)
        self.asked = asked.reset_index(drop=True)
        self.unusable = frozenset(self.answers.loc[self.answers["state"] == Said.UNUSABLE, "frame_id"])

    @cached_property
    def states(self) -> pd.DataFrame:
        """``frame_id, task, state``: where each head of each frame stands that was ever asked for or answered."""
        order = {Said.LABELLED: 0, Said.NOT_ANNOTATED: 1, Said.UNUSABLE: 2, Said.ASKED: 3}
        found = pd.concat([self.answers, self.asked])[[*_KEY, "state"]]
        found.loc[found["frame_id"].isin(self.unusable), "state"] = str(Said.UNUSABLE)
        found = found.iloc[found["state"].map({str(s): n for s, n in order.items()}).argsort(kind="stable")]
        return found.drop_duplicates(_KEY).sort_values(_KEY, ignore_index=True)

    @cached_property
    def labels(self) -> LabelTable:
        """The labels of all frames of :attr:`states`; those of a frame that is unusable are gone."""
        frame_ids = self.states["frame_id"].drop_duplicates().tolist()
        labelled = self.answers[
            (self.answers["state"] == Said.LABELLED) & ~self.answers["frame_id"].isin(self.unusable)
        ]
        table = pd.DataFrame({"frame_id": frame_ids} | dict.fromkeys(self.label_maps), dtype=object)
        for task, rows in labelled.groupby("task"):
            label_map = self.label_maps[str(task)]
            column = "value" if label_map.support == "frame" else "mask"
            values: dict[str, list[str]] = {}
            for frame_id, value in zip(rows["frame_id"], rows[column], strict=True):
                values.setdefault(frame_id, []).append(value)
            together = {f: self._together(label_map, some) for f, some in values.items()}
            table[str(task)] = pd.Series([together.get(f) for f in frame_ids], dtype=object)
        return LabelTable(table, self.label_maps.values())

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that are others as soon as any answer is, whatever its order and files."""
        what = self.answers[[*_KEY, "annotator", "state", "value"]]
        return hashlib.blake2b(what.to_json(orient="values").encode(), digest_size=16).hexdigest()

    def read(self, task: str, answer: str) -> npt.NDArray[np.uint8]:
        """The label that one annotator gave: of ``value`` for a task by frame, of ``mask`` for one by pixel."""
        if self.label_maps[task].support == "pixel":
            return read_stored(self.root / answer, self.label_maps[task])
        return np.array(json.loads(answer), dtype=np.uint8)

    def _together(self, label_map: LabelMap, values: list[str]) -> object:
        if label_map.support == "pixel":
            return StoredMask(tuple(self.root / value for value in values))
        if len(values) == 1:
            return json.loads(values[0])
        return majority(np.array([json.loads(v) for v in values], dtype=np.uint8), values_of(label_map)).tolist()
