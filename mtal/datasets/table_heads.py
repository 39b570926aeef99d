"""What the heads of a table are: ``data.heads``, and the short ways for tools, bleeding and anatomy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from mtal.datasets.table_cells import Cells
from mtal.refusals import refuse
from mtal.suggest import nearest

Kind = Literal["multilabel", "exclusive"]
_DEFAULT_KIND: dict[str, Kind] = {
    "columns": "multilabel",
    "column": "exclusive",
    "mask": "exclusive",
    "masks": "multilabel",
}
_TAKES = {
    "columns": ("kind", "empty"),
    "column": ("kind", "classes", "ignore", "separator", "empty", "intervals"),
    "mask": ("kind", "classes", "ignore"),
    "masks": ("kind", "rest"),
}
_ONLY_WITH = {"separator": "multilabel", "empty": "multilabel", "rest": "exclusive"}
_CHOICES = {"kind": ("multilabel", "exclusive"), "empty": ("unknown", "absent")}
_TYPES: dict[str, Any] = {"columns": (str, Sequence, Mapping), "column": str, "mask": str, "masks": Mapping}
_FORMS = {
    "columns": "a name, a pattern, a list of these, or column: class",
    "column": "the name of a column",
    "mask": "the name of a column",
    "masks": "class: column, for each class",
}
STEM, FOLDER = "{stem}", "{folder}"
"""In a path: the name of the image without its suffix, and that of the folder it lies in."""
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class HeadOptions:
    """One head of a table: where its labels stand and what they mean.

    One of the first four says where the labels are. A cell that is empty says that nobody annotated that.

    Args:
        columns: a column for each class with 0 or 1: a name, a pattern such as ``cvs_*`` or a list of these, in the
            order of the table where patterns are; or column → class. A class of a pattern is named after what ``*``
            stands for. Where classes exclude each other, one of a row's columns is 1.
        column: one column with a class in each cell, or several as in ``grasper;hook``; ``none`` says that none of them
            is there.
        mask: a column of paths to masks, of which each value is a class.
        masks: class → column with paths to its binary masks, or with its outlines in COCO's JSON (polygons, or run
            lengths with their size); or class → path in which ``{stem}`` stands for the name of the image without its
            suffix, as in ``masks/liver/{stem}.png``. Where classes exclude each other, later ones cover earlier ones.
        kind: ``multilabel``, any number of classes at once, or ``exclusive``, one of them. By default ``columns`` and
            ``masks`` are multilabel, ``column`` and ``mask`` exclusive.
        classes: of ``column``: names in order, or what cells hold → class; ``None`` for those that are found, in the
            order of numbers or of the alphabet. Of ``mask``: value, gray or ``R/G/B``, → class. 1.0 in a cell is 1.
        ignore: what cells of ``column`` or pixels of ``mask`` hold where nobody annotated (0 and 255 for a mask, with a
            warning where 0 is much of it). Cells such as NA, NaN and null are refused unless they are listed here or in
            ``classes``.
        separator: between the classes of one cell of a multilabel ``column``; ``None`` for the one of ``; , |`` that
            its cells hold.
        empty: what an empty cell of a multilabel head says: ``unknown``, not annotated, or ``absent``.
        intervals: another table, with rows ``start_sec``, ``end_sec``, the ``column``, and ``patient`` or ``video`` as
            in the table of frames. A frame has the classes of the intervals [start, end) that its time is in. With
            ``empty: absent`` a frame in no interval shows none, where its recording has intervals at all.
        rest: class of the pixels that no mask of ``masks`` covers, where classes exclude each other; ``None`` if they
            are not annotated.

    Raises:
        ValueError: an option is unknown, misspelt, or does not go with the others.
    """

    columns: str | Sequence[str] | Mapping[str, str] | None = None
    column: str | None = None
    mask: str | None = None
    masks: Mapping[str, str] | None = None
    kind: Kind | None = None
    classes: Sequence[Any] | Mapping[Any, Any] | None = None
    ignore: Sequence[Any] | None = None
    separator: str | None = None
    empty: Literal["unknown", "absent"] | None = None
    intervals: str | None = None
    rest: str | None = None

    @classmethod
    def parse(cls, name: str, options: Any) -> HeadOptions:
        """Options from ``data.heads.<name>``; errors name them so."""
        where = f"data.heads.{name}"
        known = [f.name for f in fields(cls)]
        if not isinstance(options, Mapping):
            raise ValueError(  # noqa: TRY004
                f"{where} is {options!r}; write options, as in {{columns: cvs_*, kind: multilabel}}"
            )
        unknown = [f"{key!r}{nearest(str(key), known)}" for key in options if key not in known]
        faults = [f"{where} has no {', no '.join(unknown)}; options are {', '.join(known)}"] if unknown else []
        given = cls(**{key: value for key, value in options.items() if value is not None and key in known})
        refuse([*faults, *given._faults(where, misspelt=bool(unknown))])
        return given

    @property
    def source(self) -> str:
        """Which of ``columns``, ``column``, ``mask`` and ``masks`` is given."""
        return next(s for s in _TAKES if getattr(self, s) is not None)

    @property
    def exclusive(self) -> bool:
        """Whether classes exclude each other."""
        return (self.kind or _DEFAULT_KIND[self.source]) == "exclusive"

    def columns_used(self, name: str, cells: Cells) -> list[str]:
        """Columns of the table that the head ``name`` is made of.

        Raises:
            ValueError: there is no such column.
        """
        option = f"data.heads.{name}.{self.source}"
        if self.columns is not None:
            return list(columns_of(self.columns, cells, option))
        if self.masks is not None:
            wanted = [str(place) for place in self.masks.values() if STEM not in str(place)]
        else:
            wanted = [str(self.column or self.mask)] if self.intervals is None else []
        return list(columns_of(wanted, cells, option))

    def _faults(self, where: str, *, misspelt: bool) -> Iterator[str]:
        """Options that are wrong or do not go together; one that is misspelt may be the one that is lacking."""
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        for option, choices in _CHOICES.items():
            if option in given and getattr(self, option) not in choices:
                yield f"{where}.{option} is {getattr(self, option)!r}; it is {' or '.join(choices)}"
        sources = [s for s in _TAKES if s in given]
        for source in sources:
            value = getattr(self, source)
            if not isinstance(value, _TYPES[source]) or not value:
                yield f"{where}.{source} is {value!r}; it must be {_FORMS[source]}"
        if len(sources) == 1:
            for option in given:
                yield from self._faults_of_use(where, sources[0], option)
        elif sources or not misspelt:
            found = f"has {' and '.join(sources)}" if sources else "does not say where its labels are"
            yield f"{where} {found}; give one of {', '.join(_TAKES)}"

    def _faults_of_use(self, where: str, source: str, option: str) -> Iterator[str]:
        kind = _ONLY_WITH.get(option)
        if option not in (source, *_TAKES[source]):
            owners = " or ".join(s for s, takes in _TAKES.items() if option in takes)
            yield f"{where}.{option} goes with {owners}, not with {source}; remove it"
        elif kind is not None and self.kind in (None, *_CHOICES["kind"]) and self.exclusive != (kind == "exclusive"):
            yield f"{where}.{option} goes with kind: {kind}; remove it, or set the kind"
        elif option == "mask" and self.kind == "multilabel":
            yield (
                f"{where}: a pixel of one mask has one class; give a mask for each class, as in "
                "masks: {liver: liver_mask, vessel: vessel_mask}"
            )


def columns_of(columns: str | Sequence[str] | Mapping[str, str], cells: Cells, option: str) -> dict[str, str]:
    """Column → class of what an option ``columns`` names.

    Raises:
        ValueError: there is no such column.
    """
    if isinstance(columns, Mapping):
        wanted = {str(column): str(name) for column, name in columns.items()}
    else:
        wanted = {}
        for pattern in [columns] if isinstance(columns, str) else [str(c) for c in columns]:
            if not _WILD.search(pattern):
                wanted[pattern] = pattern
                continue
            start, end = _WILD.split(pattern)[0], pattern.rpartition("*")[2] if pattern.count("*") else ""
            end = "" if _WILD.search(end) else end
            matching = [c for c in cells.columns if fnmatchcase(c, pattern)]
            if not matching:
                beginnings = [c[: len(start)] for c in cells.columns]
                raise ValueError(
                    f"{cells.path}: {option}: no column is called {pattern!r}{nearest(start, beginnings)}; columns are "
                    f"{', '.join(cells.columns)}"
                )
            wanted |= {c: c.removeprefix(start).removesuffix(end) or c for c in matching}
    lacking = [f"{c!r}{nearest(c, cells.columns)}" for c in wanted if c not in cells.columns]
    if lacking:
        raise ValueError(f"{cells.path}: {option}: there is no column {', no '.join(lacking)}")
    return wanted
