"""A table read cell by cell, with errors that say where."""

from __future__ import annotations

import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtal.datasets.label_map import IGNORE
from mtal.datasets.table_text import Line, read_lines
from mtal.refusals import Refusals
from mtal.suggest import nearest

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SHEET_SUFFIXES = (".xlsx", ".xlsm")
SUFFIXES = (*TEXT_SUFFIXES, *SHEET_SUFFIXES, ".parquet")
_LABELS = {"0": 0, "0.0": 0, "0,0": 0, "false": 0, "no": 0, "1": 1, "1.0": 1, "1,0": 1, "true": 1, "yes": 1}
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}")
_SHOWN = 120  # characters of a path: a cell may hold thousands that are none
_PARQUET, _ZIP, _OLD_WORKBOOK = b"PAR1", b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Cells:
    """Cells of a table as text, ``""`` where there is nothing.

    Args:
        path: the file, for messages.
        columns: name → one text per row.
        lines: number of each row in the file, as an editor or a spreadsheet shows it.
        separator: of the cells of a text file.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int]
    separator: str = ""

    @classmethod
    def read(cls, path: Path) -> Cells:
        """Read a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no table, has no rows, or a row has cells beyond the columns.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such table; give a file ({', '.join(SUFFIXES)}) as data.path")
        suffix, separator = path.suffix.lower(), ""
        if suffix in TEXT_SUFFIXES:
            separator, lines = read_lines(path)
        elif suffix in SHEET_SUFFIXES:
            lines = _sheet(path)
        elif suffix == ".parquet":
            lines = _parquet(path)
        else:
            raise ValueError(f"{path}: a table is a file {', '.join(SUFFIXES)}; save it as one of these")
        if len(lines) < 2:
            raise ValueError(f"{path}: the table has no rows")
        return cls(path, _columns(path, lines), [number for number, _ in lines[1:]], separator)

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[str]:
        """The cells of a column, empty ones if there is no such column."""
        return self.columns.get(name) or [""] * len(self)

    def where(self, row: int, column: str) -> str:
        """File, row and column as an editor or a table shows them."""
        return f"{self.path}, {self.line(row)}, column {column!r}"

    def line(self, row: int) -> str:
        """``line 3`` of a text file, ``row 3`` of another."""
        return _row(self.path, self.lines[row])

    def label(self, row: int, column: str) -> int:
        """0, 1 or, where the cell is empty, ``IGNORE``.

        Raises:
            ValueError: the cell says something else.
        """
        value = self.column(column)[row]
        if not value:
            return IGNORE
        if value.lower() not in _LABELS:
            raise ValueError(f"{self.where(row, column)}: {value!r} is no label; write 0, 1 or leave it empty")
        return _LABELS[value.lower()]

    def number(self, row: int, column: str) -> float | None:
        """A number from 0 on, with a decimal point or comma; ``None`` where the cell is empty.

        Raises:
            ValueError: the cell says something else, or the comma may be one of thousands.
        """
        value = self.column(column)[row]
        if not value:
            return None
        if self.separator == "," and _THOUSANDS.fullmatch(value):
            meanings = " or ".join(value.replace(",", mark) for mark in ("", "."))
            raise ValueError(f"{self.where(row, column)}: {value!r} may be {meanings}; write one of them")
        try:
            number = float(value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise ValueError(f"{self.where(row, column)}: {value!r} is no number from 0 on")
        return number

    def file(self, row: int, column: str, base: Path) -> Path | None:
        r"""The file that a cell names, seen from ``base``, with ``/`` or ``\``; ``None`` where the cell is empty.

        Raises:
            FileNotFoundError: there is no such file.
        """
        value = self.column(column)[row]
        if not value:
            return None
        written = dict.fromkeys(
            base / unicodedata.normalize(form, text)
            for text in (value, value.replace("\\", "/"))
            for form in ("NFC", "NFD")  # an é is one letter or two, as the system likes it
        )
        # isfile of os takes a path that is too long for none, that of pathlib ends
        path = next(filter(os.path.isfile, [base / value, *written]), None)
        if path is None:
            path = base / value.replace("\\", "/")
            hint = _hint(path)
            start = (
                "it starts from a drive of another computer, write it as seen from the table"
                if _DRIVE.match(value)
                else f"paths start from {base}, or from data.root=DIR"
            )
            raise FileNotFoundError(f"{self.where(row, column)}: {_short(path)} is not there{hint}; {start}")
        return path


def _hint(path: Path) -> str:
    """The nearest name in the folder, above all one with other capitals."""
    if not os.path.isdir(path.parent):  # noqa: PTH112 - see above
        return ""
    names = [p.name for p in path.parent.iterdir()]
    same = [name for name in names if name.lower() == path.name.lower()]
    return f", did you mean {same[0]!r}?" if same else nearest(path.name, names)


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} … {text[-_SHOWN:]}"


def _columns(path: Path, lines: Sequence[Line]) -> dict[str, list[str]]:
    """Name → cells, one for each line after the first."""
    header, rows = lines[0][1], lines[1:]
    refusals = Refusals()
    for name, times in Counter(header).items():
        with refusals:
            if name and times > 1:
                raise ValueError(f"{path}: {times} columns are called {name!r}; keep one, or rename them")
    for number, cells in rows:
        with refusals:
            beyond = [cell for cell in cells[len(header) :] if cell]
            if beyond:
                raise ValueError(
                    f"{path}, {_row(path, number)}: {len(cells)} cells, but there are {len(header)} columns; the first "
                    f"beyond them is {beyond[0]!r}. Put a cell that holds the separator between quotation marks"
                )
    refusals.tell()
    found = {}
    for place, name in enumerate(header):
        column = [cells[place] if place < len(cells) else "" for _, cells in rows]
        if name:
            found[name] = column
        elif place and any(column):  # the first may be an index that pandas has written
            warnings.warn(f"{path}: column {place + 1} has no name and is not used", stacklevel=4)
    return found


def _sheet(path: Path) -> list[Line]:
    """The rows of the one sheet of a workbook that has a column ``patient``, or else of the only one."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, na_filter=False)
    except Exception as error:  # openpyxl raises what it likes
        _raise_if_of_the_system(error)
        raise ValueError(f"{path}: {_no_workbook(path, error)}; save it as CSV UTF-8") from error
    found = {name: _filled([[_text(v) for v in row] for row in sheet.to_numpy()]) for name, sheet in sheets.items()}
    filled = {name: lines for name, lines in found.items() if lines}
    known = {name: lines for name, lines in filled.items() if "patient" in lines[0][1]} or filled
    if len(known) > 1:
        raise ValueError(f"{path}: several sheets may be the table ({', '.join(known)}); keep one of them in the file")
    return next(iter(known.values()), [])


def _parquet(path: Path) -> list[Line]:
    try:
        table = pd.read_parquet(path).astype(object)
    except (ValueError, OSError) as error:
        _raise_if_of_the_system(error)
        with path.open("rb") as file:
            begin = file.read(len(_PARQUET))
            file.seek(max(0, path.stat().st_size - len(_PARQUET)))
            is_one = _PARQUET in (begin, file.read())
        told = (
            f"this Parquet file is not whole ({error})" if is_one else "this is no Parquet file, whatever its name says"
        )
        raise ValueError(f"{path}: {told}; write it again, or save it as CSV UTF-8") from error
    rows = table.where(table.notna(), "").to_numpy()
    return [(0, [str(c).strip() for c in table]), *((i, [_text(v) for v in row]) for i, row in enumerate(rows, 1))]


def _no_workbook(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        begin = file.read(8)
    if begin.startswith(_OLD_WORKBOOK):
        return "this workbook is protected by a password, or of Excel before 2007"
    if begin.startswith(_ZIP):
        return f"this workbook is not whole ({error})"
    return "this is no workbook, whatever its name says" if begin else "this workbook is empty, without a single byte"


def _raise_if_of_the_system(error: Exception) -> None:
    """What libraries say of content is an OSError without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _filled(rows: Sequence[list[str]]) -> list[Line]:
    return [(number, cells) for number, cells in enumerate(rows, start=1) if any(cells)]


def _text(value: object) -> str:
    """A cell as people see it: 3 rather than 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _row(path: Path, number: int) -> str:
    return f"{'line' if path.suffix.lower() in TEXT_SUFFIXES else 'row'} {number}"
