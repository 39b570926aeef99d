"""Labels that belong to frames and not to a run: a folder to which answers are added, and that changes none."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from filelock import FileLock
from PIL import Image

from mtal.annotation.answers import Answer, Said, now
from mtal.annotation.consensus import layer_files
from mtal.annotation.mask_files import digest, plain
from mtal.annotation.view import LabelView
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.whole_files import whole_or_not

_TEXT = ("frame_id", "task", "annotator", "state", "value", "mask", "tool", "time", "request", "source")
COLUMNS = (*_TEXT, "seconds", "revision")
"""Of a part of the store. ``value`` is a label of the whole frame as JSON, or a digest of the mask in the file
``mask``; ``revision`` counts what one annotator said of one head of one frame, from 1."""
whole = partial(whole_or_not, elsewhere="give the oracle another store")


class LabelStore:
    """One folder of answers, for any number of runs and processes.

    ::

        <root>/tasks.json                  what the numbers of the classes mean, from the first row of a task on
        <root>/answers/<part>.parquet      rows, see COLUMNS
        <root>/masks/<task>/<frame>.<mark>.png   gray values are numbers of classes, 255 what is not annotated;
                                           where classes overlap, a file for each: <frame>.<mark>.<class>.png
        <root>/pictures.json               which picture or video a frame was, see known_pictures.py
        <root>/read.json                   which files were read, so that they need not be read again

    A part is written whole and renamed, after the masks that it names, and never touched again.

    Args:
        root: the folder; made where there is none.
        label_maps: the tasks that are to be read and written.

    Raises:
        ValueError: the store holds labels of a task of the same name and other classes.
    """

    def __init__(self, root: Path | str, label_maps: Iterable[LabelMap]) -> None:
        self.root = Path(root)
        self.label_maps = {m.task: _stored(m) for m in label_maps}
        self._seen: set[str] = set()  # parts, which never change
        self._rows = pd.DataFrame({c: pd.Series(dtype="str" if c in _TEXT else "float64") for c in COLUMNS})
        self._answers = self.root / "answers"
        self._answers.mkdir(parents=True, exist_ok=True)
        self._meanings()  # nothing is written: a run that is refused for another fault may come back with other classes

    def add(self, answers: Sequence[Answer]) -> None:
        """Write answers so that all are there or none.

        Raises:
            ValueError: a label does not go with its task, or somebody has begun with other classes meanwhile.
            OSError: the folder cannot be written.
        """
        with self._lock():  # for the revisions
            part = uuid.uuid4().hex[:12]
            before = self._revisions()
            rows = []
            for number, answer in enumerate(answers):
                key = (answer.frame_id, answer.task, answer.annotator)
                before[key] = before.get(key, 0) + 1
                rows.append(self._row(answer, f"{part}-{number}", before[key]))
            if rows:
                self._write_meanings({answer.task for answer in answers})
                place = len(list(self._answers.glob("*.parquet")))
                with whole(self._answers / f"{place:08d}-{part}.parquet") as file:
                    pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(file, index=False)

    def rows(self) -> pd.DataFrame:
        """All that was ever said, in the order in which it was written; see :data:`COLUMNS`."""
        new = [p for p in sorted(self._answers.glob("[!.]*.parquet")) if p.name not in self._seen]
        if new:
            found = [pd.read_parquet(path) for path in new]
            self._rows = pd.concat([self._rows, *found] if self._seen else found, ignore_index=True)
            self._seen |= {path.name for path in new}
        return self._rows

    @property
    def read_file(self) -> Path:
        """Where oracles keep what they have read; see :class:`mtal.annotation.files_read.FilesRead`."""
        return self.root / "read.json"

    def view(self) -> LabelView:
        """The labels as they stand now."""
        return LabelView(self.rows(), self.label_maps, self.root)

    def reading(self) -> FileLock:
        """To be held from a look at what is known to the adding of what is new, or two would add the same."""
        return FileLock(self.root / ".reading.lock")

    def _lock(self) -> FileLock:
        return FileLock(self.root / ".lock")

    def _revisions(self) -> dict[tuple[str, str, str], int]:
        rows = self.rows()
        last = rows.groupby(["frame_id", "task", "annotator"])["revision"].max()
        return {key: int(n) for key, n in zip(last.index.tolist(), last.tolist(), strict=True)}

    def _row(self, answer: Answer, mark: str, revision: int) -> dict[str, Any]:
        row: dict[str, Any] = {c: getattr(answer, c, "") for c in COLUMNS}
        row |= {"state": str(answer.said), "revision": revision, "time": answer.time or now()}
        if answer.said is Said.LABELLED:
            assert answer.label is not None
            label_map = self._label_map(answer.task)
            label = checked(answer.label, label_map, answer.frame_id)
            if label_map.support == "frame":
                row["value"] = json.dumps(label.tolist())
            else:
                row["value"] = digest(label)
                row["mask"] = self._write_mask(answer, label, mark)
        return row

    def _write_mask(self, answer: Answer, label: npt.NDArray[np.uint8], mark: str) -> str:
        """Path below the root; of several files, what their names have in common."""
        name = f"masks/{_file_name(answer.task)}/{_file_name(answer.frame_id)}.{mark}.png"
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        layers = label if label.ndim == 3 else label[None]
        for layer, file in zip(
            layers, layer_files(self.root / name, len(label) if label.ndim == 3 else None), strict=True
        ):
            with whole(file) as unfinished:
                Image.fromarray(layer).save(unfinished, format="PNG", compress_level=1)  # 40 % of the time less
        return name

    def _label_map(self, task: str) -> LabelMap:
        if task not in self.label_maps:
            raise ValueError(f"{self.root}: no task {task!r} in this label store; it has {', '.join(self.label_maps)}")
        return self.label_maps[task]

    def _meanings(self) -> dict[str, Any]:
        """What the classes of the tasks mean of which anything was ever asked or said.

        Raises:
            ValueError: they mean something else here.
        """
        file = self.root / "tasks.json"
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        known = {task: told[task] for task in self.rows()["task"].unique() if task in told}
        mine = {task: _meaning(m) for task, m in self.label_maps.items()}
        other = [f"{t} was {_told(known[t])} and is {_told(m)}" for t, m in mine.items() if known.get(t, m) != m]
        if other:
            raise ValueError(
                f"{file}: the labels of this store mean something else: {'; '.join(other)}. Give the heads the classes "
                "that they had, another name, or the run another store"
            )
        return known

    def _write_meanings(self, tasks: Iterable[str]) -> None:
        known = self._meanings()
        now = known | {task: _meaning(self._label_map(task)) for task in sorted(tasks)}
        if now != known:
            with whole(self.root / "tasks.json") as unfinished:
                unfinished.write_text(json.dumps(now, indent=1, ensure_ascii=False), encoding="utf-8")


def _meaning(label_map: LabelMap) -> dict[str, Any]:
    return {"support": label_map.support, "exclusive": label_map.exclusive, "classes": list(label_map.classes)}


def checked(label: npt.NDArray[np.uint8], label_map: LabelMap, frame_id: str) -> npt.NDArray[np.uint8]:
    """The label, after a look at its shape and values.

    Raises:
        ValueError: it does not go with the task.
    """
    label = np.asarray(label, dtype=np.uint8, order="C")
    classes = len(label_map.classes)
    layers = () if label_map.exclusive else (classes,)
    whole = label.shape if label_map.support == "frame" else label.shape[:-2]
    if whole != layers or label.ndim != len(layers) + 2 * (label_map.support == "pixel"):
        raise ValueError(f"{label_map.task} of {frame_id!r}: the label has the shape {list(label.shape)}")
    counts = np.bincount(label.ravel(), minlength=256)  # in a tenth of the time of sorting
    counts[[*range(classes if label_map.exclusive else 2), IGNORE]] = 0
    over = np.flatnonzero(counts)
    if len(over):
        raise ValueError(f"{label_map.task} of {frame_id!r}: {over[0]} stands for no class")
    return label


def _stored(label_map: LabelMap) -> LabelMap:
    """The map of the store's own files."""
    numbers = {n: n for n in (*range(len(label_map.classes)), IGNORE)} if label_map.support == "pixel" else {}
    return replace(label_map, values=numbers, stray=0.0)


def _file_name(text: str) -> str:
    """A name of a file, short enough and told apart from others where signs had to go."""
    name = plain(text)
    if name == text and len(text) <= 100:
        return text
    return f"{name[-80:]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def _told(task: dict[str, Any]) -> str:
    kind = "one" if task["exclusive"] else "any"
    return f"{kind} per {task['support']} of {', '.join(task['classes'])}"
