"""Long tables as Parquet, written piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1 << 17  # of a piece


def write_row_groups(path: Path, size: int, rows: Callable[[slice], pd.DataFrame]) -> None:
    """Write a table of which no more than a piece is held, as :meth:`pandas.DataFrame.to_parquet` would write it whole.

    Args:
        path: the file.
        size: rows of the table, N.
        rows: gives those of a slice of ``range(N)``, the columns and their types always the same.
    """
    pieces = _pieces(size, rows)
    first = next(pieces)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for piece in pieces:
            writer.write_table(piece.cast(first.schema))


def _pieces(size: int, rows: Callable[[slice], pd.DataFrame]) -> Iterator[pa.Table]:
    for start in range(0, max(size, 1), ROWS):
        yield pa.Table.from_pandas(rows(slice(start, min(start + ROWS, size))), preserve_index=False)
