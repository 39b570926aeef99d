"""Heads of pixels from a mask or an outline for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.outline import Outline
from mtal.datasets.palette import colors_of
from mtal.datasets.pixel_labels import BinaryMask, Region, Regions
from mtal.datasets.table_heads import FOLDER, STEM, HeadOptions
from mtal.datasets.table_rows import HeadLabels, TableRows, evenly
from mtal.datasets.table_tags import NONE
from mtal.refusals import Refusals


def read_masks(name: str, options: HeadOptions, rows: TableRows) -> HeadLabels:
    """A head with a mask or an outline for each class.

    Raises:
        FileNotFoundError: masks are missing.
        ValueError: a cell is no outline, or masks hold several values or are not of the sizes of their frames.
    """
    assert options.masks is not None
    where = f"data.heads.{name}.masks"
    of_class = {str(class_name): str(place) for class_name, place in options.masks.items()}
    names = [*of_class] if options.rest is None or options.rest in of_class else [options.rest, *of_class]
    if options.exclusive and len(names) < 2:
        raise ValueError(f"{where} has the one class {names[0]!r}, and a pixel needs two to be told apart; name 'rest'")
    label_map = LabelMap(name, "pixel", options.exclusive, tuple(names), colors_of(len(names)))
    rest = IGNORE if options.rest is None else names.index(options.rest)
    refusals, found = Refusals(), list[list[Region | None]]()
    for row in range(len(rows.cells)):
        regions: list[Region | None] = []
        for place in of_class.values():
            region = None
            with refusals:
                region = _pattern(rows, row, place) if STEM in place else _cell(rows, row, place)
            regions.append(region)
        found.append(regions)
    if rows.places is not None:
        _check_patterns(of_class, found, refusals, where)
        patterns = [number for number, place in enumerate(of_class.values()) if STEM in place]
        pictures = [place.frame_size for place in rows.places]
        _check_shared(pictures, [[regions[k] for k in patterns] for regions in found], refusals, where)
    refusals.tell()
    labels = [_joined(regions, len(names) - len(of_class), rest) for regions in found]
    given = [row for row, label in enumerate(labels) if label is not None]
    rows.check(lambda row, size: None if (label := labels[row]) is None else label.read(label_map, size), evenly(given))
    return HeadLabels(label_map, labels)


def _joined(regions: list[Region | None], before: int, rest: int) -> Regions | None:
    """The mask of a frame, after ``before`` classes without regions; ``None`` where nobody annotated any class."""
    if all(region is None for region in regions):
        return None
    # what is left may be of a class that nobody looked for
    left = IGNORE if any(region is None for region in regions) else rest
    return Regions((*[None] * before, *regions), left)


def _cell(rows: TableRows, row: int, column: str) -> Region | None:
    text = rows.cells.column(column)[row]
    if text.lower() == NONE:
        text = "[]"
    if text[:1] in ("[", "{"):
        return Outline.parse(text, rows.cells.where(row, column))
    path = rows.cells.file(row, column, rows.base)
    return None if path is None else BinaryMask(path)


def _pattern(rows: TableRows, row: int, pattern: str) -> Region | None:
    picture = None if rows.places is None else rows.places[row].frame_size
    if not isinstance(picture, Path):
        return None
    path = rows.base / pattern.replace(STEM, picture.stem).replace(FOLDER, picture.parent.name)
    return BinaryMask(path) if path.is_file() else None


def _check_shared(pictures: Sequence[object], found: list[list[Region | None]], refusals: Refusals, where: str) -> None:
    """A mask is of one image: frames of several patients may have one name."""
    of: dict[Path, object] = {}
    for picture, regions in zip(pictures, found, strict=True):
        for region in regions:
            if isinstance(region, BinaryMask) and of.setdefault(region.path, picture) != picture:
                with refusals:
                    raise ValueError(
                        f"{where}: {region.path} would be the mask of {of[region.path]} and of {picture}; tell them "
                        f"apart by their folders, as in masks/{FOLDER}/{STEM}.png"
                    )


def _check_patterns(
    of_class: Mapping[str, str], found: list[list[Region | None]], refusals: Refusals, where: str
) -> None:
    """A pattern of which no file is there is misspelt."""
    for number, (class_name, place) in enumerate(of_class.items()):
        with refusals:
            if STEM in place and all(regions[number] is None for regions in found):
                raise FileNotFoundError(f"{where}.{class_name}: no file {place!r} is there for any image of the table")
