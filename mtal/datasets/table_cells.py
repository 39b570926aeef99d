"""A CSV or Parquet table read cell by cell, with errors that say where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtal.datasets.label_map import IGNORE

_LABELS = {"0": 0, "0.0": 0, "false": 0, "no": 0, "1": 1, "1.0": 1, "true": 1, "yes": 1}


@dataclass(frozen=True)
class Cells:
    """Cells of a table as text, ``""`` where there is nothing.

    Args:
        path: the file, for messages.
        columns: name → one text per row.
    """

    path: Path
    columns: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> Cells:
        """Read a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is neither CSV nor Parquet, or has no rows.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such table; give a .csv or .parquet file as data.path")
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path).astype(object)
            table = table.where(table.notna(), "")
        else:
            raise ValueError(f"{path}: a table must be a .csv or .parquet file")
        if table.empty:
            raise ValueError(f"{path}: the table has no rows")
        return cls(path, {str(c).strip(): [str(v).strip() for v in table[c]] for c in table})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def column(self, name: str) -> list[str]:
        """The cells of a column, empty ones if there is no such column."""
        return self.columns.get(name) or [""] * len(self)

    def where(self, row: int, column: str) -> str:
        """File, row and column as an editor or a table shows them."""
        line = f"line {row + 2}" if self.path.suffix == ".csv" else f"row {row + 1}"
        return f"{self.path}, {line}, column {column!r}"

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
        """A number from 0 on, ``None`` where the cell is empty.

        Raises:
            ValueError: the cell says something else.
        """
        value = self.column(column)[row]
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise ValueError(f"{self.where(row, column)}: {value!r} is no number from 0 on")
        return number

    def file(self, row: int, column: str, base: Path) -> Path | None:
        """The file that a cell names, seen from ``base``; ``None`` where the cell is empty.

        Raises:
            FileNotFoundError: there is no such file.
        """
        value = self.column(column)[row]
        if not value:
            return None
        path = base / value
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.where(row, column)}: {path} is not there; paths start from {base}, or from data.root=DIR"
            )
        return path
