"""Tables as text: the encodings, separators and line ends that spreadsheets write."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import NamedTuple

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
Line = tuple[int, list[str]]
"""Number of a line of a file, from 1, or a row of a sheet, and its cells."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextTable(NamedTuple):
    """A table as text.

    Attributes:
        separator: of its cells.
        lines: number of the line that each row ends on, from 1, and its cells; the first row is the header.
    """

    separator: str
    lines: list[Line]


def read_lines(path: Path) -> TextTable:
    """The rows of a file, and what separates their cells.

    Rows without any text are left out. Text is UTF-8 or UTF-16, or what Excel writes where it is told neither:
    Windows-1252, or Mac Roman where lines end as on old Macs. The separator is the one of comma, semicolon, tab and bar
    that the header has most often, or what a first line ``sep=;`` says.

    Raises:
        ValueError: the file is no text, or a quotation mark is not closed.
    """
    text = _decoded(path)
    first = text.split("\n", 1)[0].strip(" ").lower()
    rest = first.removeprefix("sep=") if first.startswith("sep=") else ""
    told = rest.strip() or rest[:1]  # a tab is a separator too
    separator = told or _separator(text)
    if len(separator) != 1:
        raise ValueError(f"{path}: its first line says sep={told}; a separator is one character")
    csv.field_size_limit(2**31 - 1)  # outlines in a cell are long
    reader = csv.reader(StringIO(text.split("\n", 1)[1] if told else text), delimiter=separator, strict=True)
    lines: list[Line] = []
    begin = 1 + bool(told)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                lines.append((reader.line_num + bool(told), cells))
            begin = reader.line_num + bool(told) + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}: this is no table of cells between {_named(separator)}s, in the row that begins on line {begin} "
            f"({error}); write a quotation mark within a cell twice"
        ) from error
    return TextTable(separator, lines)


def _named(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:200]:  # UTF-16 without its mark: every other byte of plain letters is 0
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    if encoding is None:
        try:
            return _with_line_ends(content.decode("utf-8"))
        except UnicodeDecodeError:
            encoding = "mac_roman" if b"\r" in content and b"\n" not in content else "cp1252"
    try:
        return _with_line_ends(content.decode(encoding))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: this is no text of the encoding {encoding} ({error.reason} at byte {error.start}); save the "
            "table as CSV UTF-8"
        ) from error


def _with_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(text: str) -> str:
    """The commonest of the separators in the header outside of quotation marks, a comma if there is none."""
    header = "".join(text.lstrip("\n").split("\n", 1)[0].split('"')[::2])
    counts = Counter(c for c in header if c in SEPARATORS)
    return counts.most_common(1)[0][0] if counts else ","
