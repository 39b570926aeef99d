"""Your own recordings: one table with a row per frame, and images or videos beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap, Value
from mtal.datasets.mask import color_values, gray_values
from mtal.datasets.splits import assign_splits
from mtal.datasets.table_cells import Cells
from mtal.datasets.table_places import Place, image_places, video_places
from mtal.suggest import nearest

BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), ((213, 0, 0),))
PALETTE = (
    *((230, 159, 0), (0, 158, 115), (0, 114, 178), (204, 121, 167), (86, 180, 233), (240, 228, 66), (213, 94, 0)),
    *((120, 94, 240), (170, 255, 0), (0, 255, 230), (255, 160, 165), (111, 74, 0), (127, 127, 127), (231, 70, 156)),
    *((0, 50, 128), (200, 80, 255), (186, 183, 75), (255, 85, 0), (90, 130, 60), (255, 255, 255)),
)
_COLUMNS = ("image", "video", "frame", "time_s", "patient", "split", "bleeding", "mask")
_SPLITS = {"pool": "pool", "train": "pool", "val": "val", "test": "test"}


def load(
    path: Path | str,
    root: Path | str | None = None,
    tool_prefix: str = "tool_",
    tools: Sequence[str] | None = None,
    mask_classes: Mapping[Any, str] | None = None,
    mask_ignore: Sequence[Any] = (0, 255),
    rate_hz: float = 25.0,
    test_patients: Sequence[str] = (),
    val_patients: Sequence[str] = (),
) -> SurgicalDataset:
    """The frames of a CSV or Parquet table, for those of the tasks tools, bleeding and anatomy that it has columns for.

    - ``image``: path of a picture; or ``video``: path of a video, with ``frame``, counted from 0, or ``time_s``, for
      which the nearest frame is taken.
    - ``patient``: who is operated on. No patient may be in two splits.
    - ``split``, if there: ``pool`` (or ``train``), ``val`` or ``test``; else ``test_patients`` says who is held out.
    - ``tool_…``: a column per tool with 0 or 1. ``bleeding``: 0 or 1. ``mask``: path of a mask.

    A cell that is empty says that nobody annotated that, which is not a 0. Images of one folder and patient are one
    recording: their numbers are the last ones in their names where these tell all files of the folder apart, else their
    places in the order of names.

    Args:
        path: a ``.csv`` or ``.parquet`` file.
        root: folder that paths in the table start from; ``None`` for the table's own.
        tool_prefix: how the names of tool columns begin.
        tools: names of the tool columns instead.
        mask_classes: gray value, or ``"R/G/B"``, in the masks → name of its class.
        mask_ignore: values of pixels that are not annotated.
        rate_hz: frames per second that the numbers of images count, where ``time_s`` does not tell their time.
        test_patients: held out for the test, where there is no column ``split``.
        val_patients: held out for validation, likewise.

    Raises:
        FileNotFoundError: the table, an image, a video or a mask is missing.
        ValueError: a column is missing or a cell has no meaning; the message names file, row, column and value.
    """
    path = Path(path)
    cells = Cells.read(path)
    base = path.parent if root is None else Path(root)
    columns = [c for c in cells.columns if c.startswith(tool_prefix)] if tools is None else list(tools)
    _check_columns(cells, columns, tool_prefix if tools is None else "")
    rows = _rows(cells, base, rate_hz, test_patients, val_patients)
    label_maps: list[LabelMap] = []
    if columns:
        label_maps.append(_tools(cells, columns, tool_prefix))
        for i, row in enumerate(rows):
            row["tools"] = [cells.label(i, column) for column in columns]
    if "bleeding" in cells.columns:
        label_maps.append(BLEEDING)
        for i, row in enumerate(rows):
            row["bleeding"] = [cells.label(i, "bleeding")]
    if "mask" in cells.columns:
        masks = [cells.file(i, "mask", base) for i in range(len(rows))]
        _warn_of_masks_among_images(cells, masks, base)
        label_maps.append(_anatomy(cells, next((m for m in masks if m), None), mask_classes or {}, mask_ignore))
        for row, mask in zip(rows, masks, strict=True):
            row["anatomy"] = mask
    if not label_maps:
        raise ValueError(f"{path}: nothing to learn here; add columns {tool_prefix}…, 'bleeding' or 'mask'")
    sizes = {row["video"]: row.pop("frame_size") for row in rows}
    return SurgicalDataset.from_rows(path.stem, rows, tuple(label_maps), sizes)


def _rows(
    cells: Cells, base: Path, rate_hz: float, test_patients: Sequence[str], val_patients: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of the frame index, with the size of each frame."""
    patients = cells.column("patient")
    splits = _splits(cells, patients, test_patients, val_patients)
    places = _places(cells, patients, base, rate_hz)
    seen: dict[tuple[str, int], int] = {}
    for i, place in enumerate(places):
        first = seen.setdefault((place.source, place.frame), i)
        if first != i:
            column = "image" if cells.column("image")[i] else "video"
            raise ValueError(f"{cells.where(i, column)}: the same frame as in {cells.where(first, column)}; keep one")
    return [
        {"patient": patient, "split": split, **asdict(place)}
        for patient, split, place in zip(patients, splits, places, strict=True)
    ]


def _check_columns(cells: Cells, tools: Sequence[str], tool_prefix: str) -> None:
    names = list(cells.columns)
    lacking = [] if "patient" in names else ["patient"]
    lacking += [] if {"image", "video"} & set(names) else ["image", "video"]
    if lacking:
        hints = [f"{close[0]!r} for {n!r}" for n in names if (close := get_close_matches(n, lacking, n=1))]
        raise ValueError(
            f"{cells.path}: the columns are {', '.join(names)}; there must be 'patient', and 'image' or 'video'"
            + (f"; did you mean {', '.join(hints)}?" if hints else "")
        )
    for column in tools:
        if column not in names:
            raise ValueError(f"{cells.path}: there is no column {column!r}{nearest(column, names)}")
    for column in names:
        close = [] if column in (*_COLUMNS, *tools) else get_close_matches(column, _COLUMNS, n=1, cutoff=0.75)
        beginning = column[: len(tool_prefix) + 1]
        if close:
            warnings.warn(f"{cells.path}: column {column!r} is not used, did you mean {close[0]!r}?", stacklevel=3)
        elif column not in (*_COLUMNS, *tools) and get_close_matches(beginning, [tool_prefix], cutoff=0.75):
            warnings.warn(
                f"{cells.path}: column {column!r} is not used; if it is a tool, its name must begin with "
                f"{tool_prefix!r} (or set data.tool_prefix or data.tools)",
                stacklevel=3,
            )
    for row, patient in enumerate(cells.column("patient")):
        if not patient:
            raise ValueError(f"{cells.where(row, 'patient')}: it is empty; say who is operated on")


def _tools(cells: Cells, columns: Sequence[str], tool_prefix: str) -> LabelMap:
    if len(columns) > len(PALETTE):
        raise ValueError(f"{cells.path}: {len(columns)} tools, but there are colours for {len(PALETTE)} only")
    names = tuple(c.removeprefix(tool_prefix) for c in columns)
    return LabelMap("tools", "frame", False, names, PALETTE[: len(names)])


def _anatomy(
    cells: Cells, example: Path | None, mask_classes: Mapping[Any, str], mask_ignore: Sequence[Any]
) -> LabelMap:
    if not mask_classes:
        held = "" if example is None else f" ({example.name} holds {_held(example)})"
        raise ValueError(
            f"{cells.path}: say what the values of the masks{held} mean, as in 'data.mask_classes={{1: liver, 2: fat}}'"
        )
    classes = tuple(dict.fromkeys(mask_classes.values()))
    values = {_value(v): classes.index(name) for v, name in mask_classes.items()}
    colored = any(isinstance(v, tuple) for v in values)
    ignored = [_value(v) for v in mask_ignore]
    ignored = [(v, v, v) if colored and isinstance(v, int) else v for v in ignored]
    meanings: dict[Value, int] = {**dict.fromkeys(ignored, IGNORE), **values}
    if len(classes) > len(PALETTE):
        raise ValueError(f"data.mask_classes: {len(classes)} classes, but there are colours for {len(PALETTE)} only")
    return LabelMap("anatomy", "pixel", True, classes, PALETTE[: len(classes)], meanings)


def _value(text: Any) -> Value:
    """7 from 7 or "7", (255, 0, 0) from "255/0/0"."""
    numbers = [part.strip() for part in str(text).split("/")]
    if len(numbers) not in (1, 3) or not all(n.isdecimal() and int(n) < 256 for n in numbers):
        raise ValueError(f"data.mask_classes, data.mask_ignore: {text!r} is no gray value and no R/G/B of 0 to 255")
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]), int(numbers[2]))


def _held(mask: Path) -> str:
    try:
        values = [str(v) for v in sorted(set(gray_values(mask).ravel().tolist()))]
    except ValueError:  # its channels differ
        packed = sorted(set(color_values(mask).ravel().tolist()))
        values = [f"{v >> 16}/{v >> 8 & 255}/{v & 255}" for v in packed]
    return ", ".join(values[:12]) + (", …" if len(values) > 12 else "")


def _splits(cells: Cells, patients: list[str], test_patients: Sequence[str], val_patients: Sequence[str]) -> list[str]:
    if "split" in cells.columns:
        given = cells.column("split")
        for row, split in enumerate(given):
            if split not in _SPLITS:
                raise ValueError(f"{cells.where(row, 'split')}: {split!r} is none of {', '.join(_SPLITS)}")
        return [_SPLITS[split] for split in given]
    if not test_patients:
        raise ValueError(
            f"{cells.path}: nobody is held out for the test; add a column 'split' of pool, val and test, or give "
            f"data.test_patients; patients are {', '.join(sorted(set(patients)))}"
        )
    held_out = assign_splits(
        str(cells.path), patients, [str(p) for p in test_patients], [str(p) for p in val_patients], who="patients"
    )
    return [held_out[patient] for patient in patients]


def _warn_of_masks_among_images(cells: Cells, masks: Sequence[Path | None], base: Path) -> None:
    images = [cells.file(row, "image", base) for row in range(len(masks))]
    shared = {i.parent for i in images if i is not None} & {m.parent for m in masks if m is not None}
    for folder in sorted(shared):
        warnings.warn(
            f"{folder}: masks lie among the images, where they count as frames between them, so times are wrong unless "
            "there is a column 'time_s'; put the masks into a folder of their own",
            stacklevel=3,
        )


def _places(cells: Cells, patients: Sequence[str], base: Path, rate_hz: float) -> list[Place]:
    """Where each row's frame is read from."""
    images, videos = cells.column("image"), cells.column("video")
    files: list[Path] = []
    for row, (image, video) in enumerate(zip(images, videos, strict=True)):
        if bool(image) == bool(video):
            what = "both are given" if image else "both are empty"
            raise ValueError(f"{cells.where(row, 'image')} and 'video': {what}; a frame is read from one of them")
        file = cells.file(row, "image" if image else "video", base)
        assert file is not None
        files.append(file)
    found: dict[int, Place] = {}
    of_folder: dict[Path, set[str]] = {}
    for file, patient, image in zip(files, patients, images, strict=True):
        if image:
            of_folder.setdefault(file.parent, set()).add(patient)

    def recording(row: int) -> tuple[bool, Path, str]:
        return (True, files[row].parent, patients[row]) if images[row] else (False, files[row], "")

    for (is_image, folder, patient), group in groupby(sorted(range(len(files)), key=recording), key=recording):
        members = list(group)
        times = [cells.number(row, "time_s") for row in members]
        if is_image:
            several = len(of_folder[folder]) > 1
            places = image_places([files[r] for r in members], base, times, rate_hz, patient if several else "")
            found |= dict(zip(members, places, strict=True))
        else:
            frames = [cells.number(row, "frame") for row in members]
            where = [
                cells.where(r, "frame" if f is not None else "time_s") for r, f in zip(members, frames, strict=True)
            ]
            places = video_places(files[members[0]], base, frames, times, where)
            found |= dict(zip(members, places, strict=True))
    return [found[row] for row in range(len(files))]
