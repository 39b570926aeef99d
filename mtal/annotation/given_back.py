"""A filled-in folder read back: what is new in it, and all that is wrong with it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.annotation import form
from mtal.annotation.about import FILE, read_about
from mtal.annotation.answers import Answer, Said, now
from mtal.annotation.files_read import FilesRead, state_of
from mtal.annotation.mask_files import THERE, mask_folders, painted_colors
from mtal.annotation.untouched import Untouched
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import class_numbers, held_values
from mtal.datasets.mask_alpha import refuse_transparent
from mtal.datasets.palette import colors_of
from mtal.datasets.table_cells import Cells
from mtal.frames.picture import is_indexed
from mtal.refusals import Refusals
from mtal.suggest import nearest

TOOL = "folder"


@dataclass(frozen=True)
class Known:
    """What was read before of the folders of one request.

    Args:
        marks: (frame, task, annotator) → mark of what the newest answer was read from; gets those of new ones.
        spent: (frame, annotator) → seconds of all that they ever answered.
        folders: annotator → the folder that was read now.
    """

    marks: dict[tuple[str, str, str], str] = field(default_factory=dict)
    spent: dict[tuple[str, str], float] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)


def known_of(rows: pd.DataFrame) -> dict[str, Known]:
    """Request → what was read before of its folders.

    What another request says of the same frame is not compared with: two that differ would each correct the other
    whenever they are looked at.

    Args:
        rows: of :meth:`mtal.annotation.store.LabelStore.rows`, oldest first.
    """
    found: dict[str, Known] = {}
    rows = rows[(rows["tool"] == TOOL) & (rows["state"] != Said.ASKED)]
    columns = ("request", "frame_id", "task", "annotator", "source", "seconds")
    for request, frame_id, task, annotator, source, seconds in zip(*(rows[c] for c in columns), strict=True):
        known = found.setdefault(request, Known())
        known.marks[frame_id, task, annotator] = source
        spent = known.spent.get((frame_id, annotator), 0.0)
        known.spent[frame_id, annotator] = spent + (0.0 if math.isnan(seconds) else seconds)
    return found


@dataclass(frozen=True)
class GivenBack:
    """One folder of a request, as one annotator has filled it in.

    Args:
        folder: the folder.
        annotator: who did.
        label_maps: of the heads, with the values of the store.
        untouched: gathers masks that are as they were handed out.

    Raises:
        ValueError: the request is of heads with other classes, or another folder is the same annotator's work on it.
    """

    folder: Path
    annotator: str
    label_maps: Mapping[str, LabelMap]
    untouched: Untouched

    def answers(self, before: dict[str, Known], read: FilesRead, refusals: Refusals) -> Iterator[Answer]:
        """The answers that are not known; what is wrong goes to ``refusals``, and the rest is given all the same.

        Args:
            before: request → what was told before; gets what is told now.
            read: rows that were read before, which are not read again where nothing has changed.
            refusals: gathers what is wrong.
        """
        cells: Cells | None = None
        with refusals:
            about = read_about(self.folder, self.label_maps)
            known = before.setdefault(about["id"], Known())
            self._refuse_copy(about["id"], known)
            cells = self._cells(about)
        if cells is None:
            return
        frames = {_name(frame["image"]): frame for frame in about["frames"]}
        masks = {m.task: [*mask_folders(m).values()] for m in self.label_maps.values() if m.support == "pixel"}
        seen: set[str] = set()
        place = str(self.folder.absolute())
        for row in range(len(cells)):
            frame: dict[str, Any] | None = None
            with refusals:
                frame = self._frame(cells, row, frames, seen)
            if frame is None:
                continue
            called = f"{place}/{frame['image']}"
            if (was := read.states.get(called)) is not None and was == self._state(cells, row, frame, known, masks):
                continue
            faults = Refusals()
            yield from self._row(cells, row, frame, about["id"], known, faults)
            if not len(faults) and (state := self._state(cells, row, frame, known, masks)) is not None:
                read.note(called, state)
            with refusals:
                faults.tell()

    def _refuse_copy(self, request: str, known: Known) -> None:
        """A copy of a folder says what that said when it was copied, and would take back what was corrected since."""
        original = self.folder.with_name(f"{request}.{self.annotator}" if self.annotator else request)
        if not (original / FILE).is_file():
            original = known.folders.setdefault(self.annotator, self.folder)
        if original != self.folder:
            raise ValueError(
                f"{self.folder} is a copy of {original}; put it elsewhere, or name it {request}.NAME if it is the work "
                "of another annotator"
            )

    def _state(
        self, cells: Cells, row: int, frame: Mapping[str, Any], known: Known, masks: Mapping[str, list[str]]
    ) -> str | None:
        """By which a row is known again without being understood."""
        name, frame_id = _name(frame["image"]), frame["frame_id"]
        texts, files = [cells.column(form.UNUSABLE)[row], cells.column(form.SECONDS)[row]], []
        for task in frame["asked"]:
            texts += [cells.column(form.column(task))[row], known.marks.get((frame_id, task, self.annotator), "")]
            if texts[-1] and task in masks:
                files += [f"{self.folder}/{folder}/{name}" for folder in masks[task]]
        return state_of(texts, files)

    def _cells(self, about: Mapping[str, Any]) -> Cells:
        path = self.folder / form.TABLE
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the table with the answers is gone; put it back")
        cells = Cells.read(path)
        refusals = Refusals()
        for name in ("image", *(form.column(task) for task in about["tasks"])):
            with refusals:
                if name not in cells.columns:
                    raise ValueError(f"{path}: there is no column {name!r}{nearest(name, cells.columns)}; put it back")
        refusals.tell()
        return cells

    def _frame(self, cells: Cells, row: int, frames: Mapping[str, Any], seen: set[str]) -> Any:
        """What was asked of the frame of a row."""
        name = _name(cells.column("image")[row])
        if name not in frames:
            raise ValueError(
                f"{cells.where(row, 'image')}: nobody asked for {name!r}{nearest(name, frames)}; take the row out"
            )
        if name in seen:
            raise ValueError(f"{cells.where(row, 'image')}: {name!r} has a row already; keep one")
        seen.add(name)
        return frames[name]

    def _row(
        self, cells: Cells, row: int, frame: Mapping[str, Any], request: str, known: Known, refusals: Refusals
    ) -> Iterator[Answer]:
        found: list[Answer] = []
        unusable, seconds = False, math.nan
        with refusals:
            unusable = _told(form.is_unusable, cells, row, form.UNUSABLE)
        with refusals:
            told = cells.number(row, form.SECONDS)
            seconds = math.nan if told is None else told
        for task in frame["asked"]:
            cell = cells.column(form.column(task))[row]
            if cell == form.NOT_ASKED or not (cell or unusable):
                continue
            key, mark = (frame["frame_id"], task, self.annotator), ""
            with refusals:
                mark = form.UNUSABLE if unusable else self._mark(cells, row, frame, task)
                if known.marks.get(key) != mark:
                    said, label = (Said.UNUSABLE, None) if unusable else self._read(cells, row, frame, task)
                    found.append(
                        Answer(frame["frame_id"], task, said, label, self.annotator, math.nan, TOOL, request, mark)
                    )
        new = seconds - known.spent.get((frame["frame_id"], self.annotator), 0.0)  # the cell counts from the beginning
        share, time = (new / len(found) if found and new > 0 else math.nan), now()  # of one sitting
        known.marks.update({(a.frame_id, a.task, a.annotator): a.source for a in found})
        yield from (replace(answer, seconds=share, time=time) for answer in found)

    def _mark(self, cells: Cells, row: int, frame: Mapping[str, Any], task: str) -> str:
        """By which an answer is known again without being understood."""
        cell = cells.column(form.column(task))[row]
        label_map = self.label_maps[task]
        if label_map.support == "frame" or cell == form.UNKNOWN:
            return cell
        if cell.lower() != form.DONE:
            raise ValueError(
                f"{cells.where(row, form.column(task))}: {cell!r} is neither {form.DONE} nor {form.UNKNOWN}; the mask "
                f"itself is in {next(iter(mask_folders(label_map).values()))}"
            )
        digest = hashlib.blake2b(digest_size=16)
        for file in self._masks(frame, label_map):
            if not file.is_file():
                raise FileNotFoundError(
                    f"{file}: {cells.where(row, form.column(task))} says {form.DONE}, and the mask is gone; put it "
                    f"back, or write {form.UNKNOWN}"
                )
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def _read(
        self, cells: Cells, row: int, frame: Mapping[str, Any], task: str
    ) -> tuple[Said, npt.NDArray[np.uint8] | None]:
        label_map = self.label_maps[task]
        if label_map.support == "frame":
            return _told(lambda cell: form.tags(cell, label_map), cells, row, form.column(task))
        if cells.column(form.column(task))[row] == form.UNKNOWN:
            return Said.NOT_ANNOTATED, None
        refusals, layers = Refusals(), []
        for file in self._masks(frame, label_map):
            with refusals:
                layers.append(_class_numbers(file, label_map, tuple(frame["size"])))
        refusals.tell()
        label = layers[0] if label_map.exclusive else np.stack(layers)
        where = f"{task} of {self.folder / frame['image']}"
        self.untouched.look(where, label_map, label, frame.get("masks", {}).get(task))
        return (Said.NOT_ANNOTATED, None) if (label == IGNORE).all() else (Said.LABELLED, label)

    def _masks(self, frame: Mapping[str, Any], label_map: LabelMap) -> list[Path]:
        return [self.folder / to / _name(frame["image"]) for to in mask_folders(label_map).values()]


def _name(path: str) -> str:
    """Of the file at the end of a path."""
    return path.replace("\\", "/").rpartition("/")[2]


def _told(say: Any, cells: Cells, row: int, name: str) -> Any:
    """What a cell says, or an error that says where it is."""
    try:
        return say(cells.column(name)[row])
    except ValueError as error:
        raise ValueError(f"{cells.where(row, name)}: {error}") from None


def _class_numbers(file: Path, label_map: LabelMap, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """``[H, W]`` class numbers from grays, from our colours painted over them, or 0 and 1 of a mask of one class."""
    if label_map.exclusive:  # 0, which an eraser may leave, is a class like any other
        refuse_transparent(file)
    else:  # how many classes overlap says nothing of the mask of one
        label_map = replace(label_map, classes=("not there", "there"), colors=colors_of(2))
    grays = {n: n for n in (*range(len(label_map.classes)), IGNORE)} if label_map.exclusive else {0: 0, THERE: 1}
    colors = painted_colors(label_map) if label_map.exclusive else {}
    painted: dict[Any, int] = {(n, n, n): m for n, m in grays.items()} | colors
    if is_indexed(file):  # none was handed out so, and the numbers in it are those of whatever program saved it
        return class_numbers(file, replace(label_map, values=painted), size)
    try:  # what most are, which so are read once
        return class_numbers(file, replace(label_map, values=grays), size)
    except ValueError:
        if not (label_map.exclusive and held_values(file).colored):
            raise
    return class_numbers(file, replace(label_map, values=painted), size)
