"""What annotators write into a folder that they were handed out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image


def fill(folder: Path, cells: dict[tuple[int, str], str]) -> None:
    """Write answers into the table: (row, column) to the cell."""
    table = pd.read_csv(folder / "frames.csv", dtype=str, keep_default_na=False)
    for (row, name), cell in cells.items():
        table.loc[row, name] = cell
    table.to_csv(folder / "frames.csv", index=False)


def write(path: Path, content: npt.ArrayLike) -> None:
    """Save a mask, in grays or in colours."""
    Image.fromarray(np.asarray(content, dtype=np.uint8)).save(path)
