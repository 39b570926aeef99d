"""Labels of every frame, keyed by ``frame_id``; heads that nobody annotated are ``IGNORE``, not zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import Size, class_numbers
from mtal.datasets.pixel_labels import MaskFile
from mtal.datasets.threads import in_threads
from mtal.frames.fit import fitted_mask
from mtal.frames.index import FrameIds
from mtal.frames.window import WHOLE, Window
from mtal.refusals import Refusals


class DrawnMask(Protocol):
    """A mask that is drawn when it is asked for, as from polygons or from one file per class."""

    def read(self, label_map: LabelMap, frame_size: Size | Path | None) -> NDArray[np.uint8]:
        """``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where the classes overlap; either may be ``IGNORE``.

        Args:
            label_map: of the task.
            frame_size: (H, W) of the frame, or its picture; ``None`` if it is not known.

        Raises:
            FileNotFoundError: a file that it is drawn from is missing.
            ValueError: it cannot be drawn.
        """
        ...


Mask = Path | MaskFile | DrawnMask


class LabelTable:
    """One row per frame, one column per task.

    Args:
        table: ``frame_id`` and one column per task. Frame tasks hold C numbers 0, 1 or ``IGNORE`` (one class number or
            ``IGNORE`` where exclusive), pixel tasks the path of a mask, a :class:`MaskFile` or a :class:`DrawnMask`
            (which it must be where classes overlap); ``None`` says that nobody annotated the task in that frame.
        label_maps: what the columns mean.
        frame_sizes: frame_id, or else video → (H, W), or the picture that has it; a mask file of any other size is
            refused when read.

    Raises:
        ValueError: a column is missing, a frame is listed twice, or a label is not one that its map allows.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        label_maps: Iterable[LabelMap],
        frame_sizes: Mapping[str, Size | Path] | None = None,
    ) -> None:
        self.label_maps = {m.task: m for m in label_maps}
        self.frame_sizes = dict(frame_sizes or {})
        missing = [c for c in ("frame_id", *self.label_maps) if c not in table]
        if missing:
            raise ValueError(f"the label table lacks the columns {missing}; it has {list(table.columns)}")
        ids = table["frame_id"].astype("str")
        if ids.duplicated().any():
            raise ValueError(f"frame {ids[ids.duplicated()].iloc[0]!r} is listed twice in the label table")
        self.windows: Mapping[str, Window] = {}
        self._row = {frame_id: i for i, frame_id in enumerate(ids)}
        self._tags: dict[str, NDArray[np.uint8]] = {}  # frame task → [rows, C] or [rows]
        self._masks: dict[str, list[Mask | None]] = {}  # pixel task → one mask per row
        self._shows_labels: dict[tuple[str, int], bool] = {}  # pixel task and row → what was found of its mask
        for task, label_map in self.label_maps.items():
            column = table[task].tolist()
            if label_map.support == "frame":
                self._tags[task] = _tags(label_map, ids.tolist(), column)
            else:
                self._masks[task] = [_mask_of(m) for m in column]

    @property
    def frame_ids(self) -> list[str]:
        """Frames that have a row, in the order of the rows."""
        return list(self._row)

    def seen_through(self, windows: Mapping[str, Window]) -> Self:
        """The same table, of which :meth:`targets` gives what ``windows`` show of masks, by frame_id."""
        table = copy(self)
        table.windows = windows
        return table

    def frame_size(self, frame_id: str) -> Size | Path | None:
        """(H, W) of a frame, or the picture that has it, where either is known."""
        return self.frame_sizes.get(frame_id, self.frame_sizes.get(frame_id.rpartition("/")[0]))

    def targets(
        self, task: str, frame_ids: Sequence[str], size: Size | None = None
    ) -> NDArray[np.uint8]:  # [N, C], [N], [N, H, W] or [N, C, H, W]
        """Labels of N frames in the order asked: ``[N, C]`` tags, ``[N]`` class numbers or ``[N, H, W]`` masks.

        Masks of classes that overlap are ``[N, C, H, W]`` of 0 and 1. Masks are mapped from gray to class numbers first
        and then resized to ``size`` (H, W) by nearest neighbour; ``IGNORE`` where a window reaches beyond the frame.

        Raises:
            KeyError: the task or a frame is not in the table.
            FileNotFoundError: mask files are missing.
            ValueError: masks hold values that are not listed, or are not of the size of their frames.
        """
        rows = self._rows(task, frame_ids)  # [N]
        if task in self._tags:
            return self._tags[task][rows]
        if size is None:
            raise ValueError(f"task {task!r} is labelled by pixel: give targets() the size (H, W) wanted")
        label_map = self.label_maps[task]
        layers = () if label_map.exclusive else (len(label_map.classes),)
        masks = np.full((len(rows), *layers, *size), IGNORE, dtype=np.uint8)  # [N, H, W] or [N, C, H, W]
        refusals = Refusals()
        for i, (frame_id, row) in enumerate(zip(frame_ids, rows, strict=True)):
            mask = self._masks[task][row]
            if mask is not None:
                with refusals:
                    drawn = self._drawn(mask, frame_id, label_map)
                    masks[i] = fitted_mask(drawn, size, self.windows.get(frame_id, WHOLE), beyond=IGNORE)
        refusals.tell()
        return masks

    def mask(self, task: str, frame_id: str) -> NDArray[np.uint8] | None:
        """The mask of one frame as it lies on disk, ``[H, W]`` or ``[C, H, W]``; ``None`` if nobody annotated it.

        Raises:
            KeyError: the task or the frame is not in the table.
            FileNotFoundError: the file is missing.
            ValueError: it holds values that are not listed, or is not of the size of its frame.
        """
        mask = self._masks[task][self._rows(task, [frame_id])[0]]
        return None if mask is None else self._drawn(mask, frame_id, self.label_maps[task])

    def labelled(self, task: str, frame_ids: FrameIds) -> NDArray[np.bool_]:
        """Whether anybody labelled anything of a task in N frames, ``[N]``; nothing is told of what.

        A mask in which every pixel is ``IGNORE`` says nothing, so each mask has to be looked into once.

        Raises:
            KeyError: the task or a frame is not in the table.
            FileNotFoundError: mask files are missing.
            ValueError: masks cannot be read as :meth:`targets` reads them.
        """
        rows = self._rows(task, frame_ids)  # [N]
        if task in self._tags:
            tags = self._tags[task][rows]
            return (tags != IGNORE).reshape(len(tags), -1).any(axis=1)
        there = {row: f for f, row in zip(frame_ids, rows.tolist(), strict=True) if self._masks[task][row] is not None}
        unseen = [row for row in there if (task, row) not in self._shows_labels]
        refusals = Refusals()

        def look(row: int) -> bool:
            mask = self._masks[task][row]
            assert mask is not None
            with refusals:
                return bool((self._drawn(mask, there[row], self.label_maps[task]) != IGNORE).any())
            return False

        found = in_threads(look, unseen, f"Looking for {task} labels")
        refusals.tell()
        self._shows_labels |= {(task, row): shows for row, shows in zip(unseen, found, strict=True)}
        return np.array([self._shows_labels.get((task, row), False) for row in rows.tolist()], dtype=bool)

    def _rows(self, task: str, frame_ids: FrameIds) -> NDArray[np.int64]:
        if task not in self.label_maps:
            raise KeyError(f"no task {task!r} in the label table; tasks are {', '.join(self.label_maps)}")
        unknown = [f for f in frame_ids if f not in self._row]
        if unknown:
            raise KeyError(f"{len(unknown)} frames are not in the label table, the first is {unknown[0]!r}")
        return np.array([self._row[f] for f in frame_ids], dtype=np.int64)  # [N]

    def _drawn(self, mask: Mask, frame_id: str, label_map: LabelMap) -> NDArray[np.uint8]:
        size = self.frame_size(frame_id)
        if isinstance(mask, Path):
            return class_numbers(mask, label_map, size)
        if isinstance(mask, MaskFile):
            return class_numbers(mask.path, replace(label_map, values=mask.values), size)
        return mask.read(label_map, size)


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _mask_of(value: Any) -> Mask | None:
    return None if _absent(value) else Path(value) if isinstance(value, str) else value


def _tags(label_map: LabelMap, frame_ids: list[str], column: list[Any]) -> NDArray[np.uint8]:
    """``[N, C]`` of 0, 1 and IGNORE, or ``[N]`` class numbers where the classes exclude each other."""
    classes = len(label_map.classes)
    shape = () if label_map.exclusive else (classes,)
    allowed = {*range(classes if label_map.exclusive else 2), IGNORE}
    tags = np.full((len(column), *shape), IGNORE, dtype=np.uint8)
    refusals = Refusals()
    for i, (frame_id, value) in enumerate(zip(frame_ids, column, strict=True)):
        if _absent(value):
            continue
        labels = np.asarray(value)
        if labels.shape != shape or not set(labels.ravel().tolist()) <= allowed:
            what = f"one of {sorted(allowed)}" if label_map.exclusive else f"{classes} numbers out of 0, 1, {IGNORE}"
            told = f"frame {frame_id!r}, task {label_map.task!r}: the label is {value}; it must be {what}"
            refusals.take(ValueError(told))
            continue
        tags[i] = labels
    refusals.tell()
    return tags
