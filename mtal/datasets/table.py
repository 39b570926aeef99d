"""Your own recordings: one table with a row per frame, and images or videos beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import LabelMap
from mtal.datasets.mask import Size
from mtal.datasets.mask_meaning import MaskOptions
from mtal.datasets.splits import assign_splits
from mtal.datasets.table_cells import Cells
from mtal.datasets.table_heads import HeadOptions
from mtal.datasets.table_intervals import END, START, are_intervals, sampled
from mtal.datasets.table_masks import mask_options, read_mask
from mtal.datasets.table_places import Asked, find_places, index_rows
from mtal.datasets.table_regions import read_masks
from mtal.datasets.table_rows import HeadLabels, TableRows
from mtal.datasets.table_tags import read_column, read_columns
from mtal.frames.index import frame_id
from mtal.refusals import Refusals
from mtal.suggest import nearest

BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), ((213, 0, 0),))
_COLUMNS = ("image", "video", "frame", "time_s", "patient", "split", "bleeding", "mask")
_SPLITS = {"pool": "pool", "train": "pool", "val": "val", "test": "test"}


def load(
    path: Path | str,
    root: Path | str | None = None,
    tool_prefix: str = "tool_",
    tools: Sequence[str] | None = None,
    mask_classes: Mapping[Any, str] | None = None,
    mask_ignore: Sequence[Any] | None = None,
    heads: Mapping[str, Any] | None = None,
    rate_hz: float = 25.0,
    interval_hz: float = 1.0,
    test_patients: Sequence[str] = (),
    val_patients: Sequence[str] = (),
) -> SurgicalDataset:
    """The frames of a CSV, Excel or Parquet table, for those of tools, bleeding and anatomy that it has columns for.

    - ``image``: path of a picture, beside which ``video`` may name its recording; or ``video``: path of a video, with
      ``frame``, counted from 0, or ``time_s``, for which the nearest frame is taken.
    - ``patient``: who is operated on. No patient may be in two splits.
    - ``split``, if there: ``pool`` (or ``train``), ``val`` or ``test``, unless ``test_patients`` or ``val_patients``
      are given.
    - ``tool_…``: a column per tool with 0 or 1. ``bleeding``: 0 or 1. ``mask``: path of a mask. Any other head is one
      of ``heads``; the columns it names are not taken for these three.

    A cell that is empty says that nobody annotated that, which is not a 0. Images of one folder and patient are one
    recording, where ``video`` names no other: their numbers are the last ones in their names where these tell all files
    of the folder apart, else their places in the order of names. Images may be of several sizes.

    A table with ``start_sec`` and ``end_sec`` has a row for each stretch of a ``video`` instead; its frames are taken
    ``interval_hz`` times a second and have what the stretches around them say.

    Args:
        path: a ``.csv``, ``.tsv``, ``.xlsx`` or ``.parquet`` file.
        root: folder that paths in the table start from; ``None`` for the table's own.
        tool_prefix: how the names of tool columns begin.
        tools: names of the tool columns instead.
        mask_classes: gray value, or ``"R/G/B"``, in the masks → name of its class.
        mask_ignore: values of pixels that are not annotated; ``None`` for 0 and 255 where they are no classes, and for
            a warning where 0 is much of the masks.
        heads: name → options of a head, see :class:`~mtal.datasets.table_heads.HeadOptions`.
        rate_hz: frames per second that the numbers of images count, where ``time_s`` does not tell their time.
        interval_hz: frames per second that are taken of videos whose rows are intervals.
        test_patients: held out for the test, in place of what a column ``split`` says.
        val_patients: held out for validation, likewise.

    Raises:
        FileNotFoundError: the table, images, videos or masks are missing.
        ValueError: columns are missing or cells have no meaning; the message names file, row, column and value.
    """
    path = Path(path)
    base = path.parent if root is None else Path(root)
    cells = Cells.read(path)
    if are_intervals(cells):
        cells = sampled(cells, base, interval_hz)
    own, used = _heads(heads or {}, cells)
    tool_columns = tools or [c for c in cells.columns if c.startswith(tool_prefix) and c not in used]
    _check_columns(cells, tool_columns, used, tool_prefix if tools is None else "")
    masks = MaskOptions("anatomy", "mask", mask_classes or {}, mask_ignore, "data.mask_classes")
    readers = _short_ways(cells, {c: c.removeprefix(tool_prefix) for c in tool_columns}, masks, {*own, *used})
    readers |= {name: partial(_READERS[options.source], name, options) for name, options in own.items()}
    if not readers:
        raise ValueError(
            f"{path}: nothing to learn here; add columns {tool_prefix}…, 'bleeding' or 'mask', or say by data.heads "
            f"what the columns {', '.join(cells.columns)} mean"
        )
    refusals, found = Refusals(), list[HeadLabels]()
    index, rows = list[dict[str, Any]](), TableRows(cells, base, None)
    with refusals:
        index, rows = _index(cells, base, rate_hz, test_patients, val_patients)
    for read in readers.values():
        with refusals:
            found.append(read(rows))
    refusals.tell()
    _warn_of_masks_among_images(found, rows)
    sizes: dict[str, Size | Path] = {}
    for i, (row, place) in enumerate(zip(index, rows.places or [], strict=True)):
        row |= {head.label_map.task: head.labels[i] for head in found}
        sizes[frame_id(place.video, place.frame)] = place.frame_size
    return SurgicalDataset.from_rows(path.stem, index, tuple(head.label_map for head in found), sizes)


def _heads(heads: Mapping[str, Any], cells: Cells) -> tuple[dict[str, HeadOptions], set[str]]:
    """The heads of ``data.heads`` by name, and all columns that they are made of."""
    refusals, own, used = Refusals(), dict[str, HeadOptions](), set[str]()
    for name, options in heads.items():
        with refusals:
            own[str(name)] = head = HeadOptions.parse(str(name), options)
            used |= set(head.columns_used(str(name), cells))
    refusals.tell(what="wrong options")
    return own, used


_Reader = Callable[[TableRows], HeadLabels]
_READERS: dict[str, Callable[[str, HeadOptions, TableRows], HeadLabels]] = {
    "columns": read_columns,
    "column": read_column,
    "mask": lambda name, options, rows: read_mask(mask_options(name, options), rows),
    "masks": read_masks,
}


def _short_ways(
    cells: Cells, tools: Mapping[str, str], masks: MaskOptions, taken: Collection[str]
) -> dict[str, _Reader]:
    """Readers of tools, bleeding and anatomy, but for those that ``data.heads`` has, or whose columns it has taken."""
    readers: dict[str, _Reader] = {}
    if tools and "tools" not in taken:
        readers["tools"] = partial(read_columns, "tools", HeadOptions(columns=tools))
    if "bleeding" in cells.columns and "bleeding" not in taken:
        readers["bleeding"] = _read_bleeding
    if "mask" in cells.columns and not {"mask", "anatomy"} & set(taken):
        readers["anatomy"] = partial(read_mask, masks)
    return readers


def _read_bleeding(rows: TableRows) -> HeadLabels:
    return HeadLabels(BLEEDING, read_columns("bleeding", HeadOptions(columns=["bleeding"]), rows).labels)


def _index(
    cells: Cells, base: Path, rate_hz: float, test_patients: Sequence[str], val_patients: Sequence[str]
) -> tuple[list[dict[str, Any]], TableRows]:
    """The rows of the frame index, and the table with the places of its frames."""
    refusals = Refusals()
    patients, splits = cells.column("patient"), list[str]()
    for row, patient in enumerate(patients):
        with refusals:
            if not patient:
                raise ValueError(f"{cells.where(row, 'patient')}: it is empty; say who is operated on")
    with refusals:
        splits = _splits(cells, patients, test_patients, val_patients)
    asked: list[Asked] = []
    for row in range(len(cells)):
        with refusals:
            asked.append(_asked(cells, row, base))
    refusals.tell()
    places = find_places(asked, base, rate_hz)
    seen: dict[tuple[Path, int], int] = {}
    for row, (one, place) in enumerate(zip(asked, places, strict=True)):
        with refusals:
            first = seen.setdefault((one.file.resolve(), 0 if one.is_image else place.frame), row)
            if first != row:
                column = "image" if one.is_image else "video"
                raise ValueError(
                    f"{cells.where(row, column)}: the same frame as in {cells.where(first, column)}; keep one"
                )
    refusals.tell()
    return index_rows(places, patients, splits), TableRows(cells, base, places)


def _asked(cells: Cells, row: int, base: Path) -> Asked:
    """The frame that a row is about."""
    image, video = cells.column("image")[row], cells.column("video")[row]
    if not image and not video:
        raise ValueError(f"{cells.where(row, 'image')} and 'video': both are empty; a frame is read from one of them")
    column = "image" if image else "video"
    file, patient, time_s = cells.file(row, column, base), cells.column("patient")[row], cells.number(row, "time_s")
    assert file is not None
    if image:
        return Asked(cells.where(row, "image"), file, True, patient, None, time_s, video)
    frame = cells.number(row, "frame")
    return Asked(cells.where(row, "time_s" if frame is None else "frame"), file, False, patient, frame, time_s)


def _check_columns(cells: Cells, tools: Sequence[str], used: Collection[str], tool_prefix: str) -> None:
    names = list(cells.columns)
    lacking = [] if "patient" in names else ["patient"]
    lacking += [] if {"image", "video"} & set(names) else ["image", "video"]
    if lacking:
        hints = [f"{close[0]!r} for {n!r}" for n in names if (close := get_close_matches(n, lacking, n=1))]
        raise ValueError(
            f"{cells.path}: the columns are {', '.join(names)}; there must be 'patient', and 'image' or 'video'"
            + (f"; did you mean {', '.join(hints)}?" if hints else "")
        )
    wrong = [f"{column!r}{nearest(column, names)}" for column in tools if column not in names]
    if wrong:
        raise ValueError(f"{cells.path}: there is no column {', no '.join(wrong)}")
    known = {*_COLUMNS, *tools, *used, START, END}
    for column in names:
        if column in known:
            continue
        close = get_close_matches(column, [c for c in _COLUMNS if c not in names], n=1, cutoff=0.75)
        if close:
            warnings.warn(f"{cells.path}: column {column!r} is not used, did you mean {close[0]!r}?", stacklevel=3)
        elif get_close_matches(column[: len(tool_prefix) + 1], [tool_prefix], cutoff=0.75):
            warnings.warn(
                f"{cells.path}: column {column!r} is not used; if it is a tool, its name must begin with "
                f"{tool_prefix!r} (or set data.tool_prefix or data.tools)",
                stacklevel=3,
            )


def _splits(cells: Cells, patients: list[str], test_patients: Sequence[str], val_patients: Sequence[str]) -> list[str]:
    if "split" in cells.columns and not test_patients:
        given, refusals = cells.column("split"), Refusals()
        for row, split in enumerate(given):
            with refusals:
                if split not in _SPLITS:
                    raise ValueError(f"{cells.where(row, 'split')}: {split!r} is none of {', '.join(_SPLITS)}")
        refusals.tell()
        splits = [_SPLITS[split] for split in given]
        if not val_patients:
            return splits
        held_out = assign_splits(str(cells.path), patients, [], val_patients, who="patients")
        tested = {patient for patient, split in zip(patients, splits, strict=True) if split == "test"}
        if torn := sorted(tested & set(map(str, val_patients))):
            raise ValueError(f"{cells.path}: column 'split' has {', '.join(torn)} of data.val_patients in the test")
        return ["val" if held_out[p] == "val" else split for p, split in zip(patients, splits, strict=True)]
    if not test_patients:
        raise ValueError(
            f"{cells.path}: nobody is held out for the test; add a column 'split' of pool, val and test, or give "
            f"data.test_patients; patients are {', '.join(sorted(set(patients)))}"
        )
    held_out = assign_splits(str(cells.path), patients, test_patients, val_patients, who="patients")
    return [held_out[patient] for patient in patients]


def _warn_of_masks_among_images(found: Sequence[HeadLabels], rows: TableRows) -> None:
    images = {place.frame_size.parent for place in rows.places or () if isinstance(place.frame_size, Path)}
    masks = {label.parent for head in found for label in head.labels if isinstance(label, Path)}
    for folder in sorted(images & masks):
        warnings.warn(
            f"{folder}: masks lie among the images, where they count as frames between them, so times are wrong unless "
            "there is a column 'time_s'; put the masks into a folder of their own",
            stacklevel=3,
        )
