"""Heads of whole frames from the cells of a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.palette import colors_of
from mtal.datasets.table_cells import Cells
from mtal.datasets.table_heads import HeadOptions, columns_of
from mtal.datasets.table_intervals import JOINT, Said, said_by_intervals
from mtal.datasets.table_rows import HeadLabels, TableRows
from mtal.refusals import Refusals
from mtal.suggest import nearest

NONE = "none"
"""A cell of a multilabel head that says so has none of the classes."""
_SEPARATORS = ";,|"
_WHOLE = re.compile(r"(-?\d+)[.,]0+")
"""A whole number as programs write it that have no whole ones beside empty cells."""
_NUMBER = re.compile(r"-?\d+([.,]\d+)?")
_MISSING = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "null"})
"""What programs write where there is nothing, in small letters."""


def read_columns(name: str, options: HeadOptions, rows: TableRows) -> HeadLabels:
    """A head with a column of 0 and 1 for each class.

    Raises:
        ValueError: columns are missing, cells are no labels, or classes that exclude each other are both 1.
    """
    assert options.columns is not None
    cells = rows.cells
    classes = columns_of(options.columns, cells, f"data.heads.{name}.columns")
    label_map = frame_head(name, options.exclusive, tuple(classes.values()), str(cells.path))
    refusals, labels = Refusals(), list[Any]()
    for row in range(len(cells)):
        tags = [IGNORE] * len(classes)
        for i, column in enumerate(classes):
            with refusals:
                tags[i] = cells.label(row, column)
        if options.empty == "absent":
            tags = [0 if tag == IGNORE else tag for tag in tags]
        label: Any = tags
        with refusals:
            label = _the_one(cells, row, list(classes), tags) if options.exclusive else tags
        labels.append(label)
    refusals.tell()
    return HeadLabels(label_map, labels)


def _the_one(cells: Cells, row: int, columns: Sequence[str], tags: Sequence[int]) -> int | None:
    """Number of the class that is 1, ``None`` where all cells are empty."""
    if set(tags) == {IGNORE}:
        return None
    there = [i for i, tag in enumerate(tags) if tag == 1]
    if len(there) != 1:
        what = " and ".join(repr(columns[i]) for i in there) or "none of them"
        raise ValueError(
            f"{cells.where(row, columns[0])} and {len(columns) - 1} more that exclude each other: {what} is 1; one of "
            "them must be, or all must be empty"
        )
    return there[0]


def read_column(name: str, options: HeadOptions, rows: TableRows) -> HeadLabels:
    """A head with names or numbers of classes in its cells, or in those of a table of intervals.

    Raises:
        FileNotFoundError: the table of intervals is missing.
        ValueError: there is no such column, or cells hold what is no class, or what may stand for nothing.
    """
    assert options.column is not None
    cells, column, option = rows.cells, options.column, f"data.heads.{name}"
    if options.intervals is not None:
        said = said_by_intervals(name, options.intervals, column, rows)
    else:
        said = [Said(text, cells.where(row, column)) for row, text in enumerate(cells.column(column))]
    separator = JOINT if options.exclusive else options.separator or _separator(said, option)
    texts = [[part for part in map(_plain, one.text.split(separator)) if part] for one in said]
    ignored = frozenset(_plain(value) for value in options.ignore or ())
    reserved = ignored if options.exclusive else ignored | {NONE}
    found = {part for parts in texts for part in parts if part not in reserved and part.lower() not in reserved}
    classes = _classes(options.classes, found - _MISSING)
    _refuse_missing(said, texts, ignored | set(classes), option)
    names = tuple(dict.fromkeys(classes.values()))
    label_map = frame_head(name, options.exclusive, names, f"{option}.column={column}")
    meaning = _Meaning(option, options, {value: names.index(c) for value, c in classes.items()}, ignored, len(names))
    refusals, labels = Refusals(), list[Any]()
    for one, parts in zip(said, texts, strict=True):
        label: Any = None
        with refusals:
            label = meaning.label(one, parts)
        labels.append(label)
    refusals.tell()
    return HeadLabels(label_map, labels)


@dataclass(frozen=True)
class _Meaning:
    """What the cells of a column say."""

    option: str
    options: HeadOptions
    number: Mapping[str, int]
    ignored: frozenset[str]
    count: int

    def label(self, one: Said, parts: Sequence[str]) -> list[int] | int | None:
        if not parts:
            return [0] * self.count if one.asked and self.options.empty == "absent" else None
        if self.ignored & set(parts):
            return None
        none = [] if self.options.exclusive else [p for p in parts if p.lower() == NONE]
        present = {p: self.number[p] for p in parts if p in self.number}
        wrong = [p for p in parts if p not in present and p not in none]
        if wrong:
            raise ValueError(
                f"{one.where}: {wrong[0]!r} is no class of {self.option}{nearest(wrong[0], self.number)}; they are "
                f"{', '.join(self.number)}"
            )
        if self.options.exclusive:
            numbers = list(dict.fromkeys(present.values()))
            if len(numbers) > 1:
                raise ValueError(
                    f"{one.where}: {' and '.join(map(repr, present))} exclude each other; set {self.option}.kind="
                    "multilabel if they may be there at once"
                )
            return numbers[0]
        if none and present:
            raise ValueError(f"{one.where}: {one.text!r} says {NONE} and names classes")
        return [int(i in present.values()) for i in range(self.count)]


def frame_head(name: str, exclusive: bool, classes: tuple[str, ...], where: str) -> LabelMap:
    """The label map of a head of whole frames.

    Raises:
        ValueError: there are no classes, or only one of those that exclude each other.
    """
    if len(classes) < (2 if exclusive else 1):
        found = f"only the class {classes[0]!r}, and classes that exclude each other are two or more" if classes else ""
        raise ValueError(f"{where}: there is {found or 'no class'}")
    return LabelMap(name, "frame", exclusive, classes, colors_of(len(classes)))


def _classes(given: Sequence[Any] | Mapping[Any, Any] | None, found: set[str]) -> dict[str, str]:
    """What a cell holds → name of its class, in the order of the classes."""
    if isinstance(given, Mapping):
        return {_plain(value): str(name) for value, name in given.items()}
    if given is not None:
        return {_plain(name): str(name) for name in given}
    numbers = all(_NUMBER.fullmatch(value) for value in found)
    return {v: v for v in sorted(found, key=lambda v: (float(v.replace(",", ".")) if numbers else v.casefold(), v))}


def _refuse_missing(said: Sequence[Said], texts: Sequence[Sequence[str]], known: Collection[str], option: str) -> None:
    """Refuse cells such as ``NA``, unless options say what these mean.

    Raises:
        ValueError: there are some.
    """
    refusals = Refusals()
    unclear = [one for one, parts in zip(said, texts, strict=True) if (_MISSING & set(parts)) - set(known)]
    for one in dict.fromkeys(unclear):  # an interval has many frames
        with refusals:
            raise ValueError(
                f"{one.where}: {one.text!r} may say that nobody annotated this, or be a class; list it in "
                f"{option}.ignore or {option}.classes, or leave the cell empty"
            )
    refusals.tell()


def _plain(value: Any) -> str:
    """A value of a cell or an option, so that both are alike: 3 for 3.0, and ``na`` for NA."""
    text = "null" if value is None else str(value).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text.lower() if text.lower() in _MISSING else text


def _separator(said: Sequence[Said], option: str) -> str:
    """The one of the usual separators that cells hold.

    Raises:
        ValueError: they hold several.
    """
    there = [c for c in _SEPARATORS if any(c in one.text for one in said)]
    if len(there) > 1:
        raise ValueError(
            f"{option}.column: cells hold {' and '.join(map(repr, there))}; say by {option}.separator which of them "
            "stands between classes"
        )
    return there[0] if there else JOINT
