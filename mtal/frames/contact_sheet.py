"""A sheet of thumbnails by reason, to see at a glance whether what was dropped deserved it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from mtal.frames.hygiene import REASONS
from mtal.whole_files import whole_or_not

_COLUMNS, _ROWS = 10, 3  # per reason
_WIDTH, _HEIGHT = 160, 120  # of a thumbnail
_LINE = 16


def draw_contact_sheet(dropped: pd.DataFrame, path: Path, thumbnail: Callable[[int], bytes]) -> None:
    """Write a PNG of the dropped frames: a heading with the count for each reason, below it up to 30 thumbnails.

    Where more were dropped, the thumbnails are spread evenly from the one that passed its threshold by the least to the
    one that passed it by the most: the first ones are those to doubt.

    Args:
        dropped: rows of ``frame_id, reason, value, threshold``.
        path: the file to write.
        thumbnail: gives that of a row, by its place; asked for those that are shown alone.
    """
    placed = dropped.assign(place=np.arange(len(dropped)))
    by_reason = {r: _doubtful_first(placed[placed["reason"] == r]) for r in REASONS}
    shown = {r: rows.iloc[_spread(len(rows), _COLUMNS * _ROWS)] for r, rows in by_reason.items()}
    heights = [2 * _LINE + -(-len(rows) // _COLUMNS) * (_HEIGHT + _LINE) for rows in shown.values()]
    sheet = Image.new("RGB", (_COLUMNS * _WIDTH, sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(10), ImageFont.load_default(14)
    top = 0
    for (reason, rows), height in zip(shown.items(), heights, strict=True):
        draw.text((4, top + 8), f"{reason.replace('_', ' ')}: {len(by_reason[reason])} dropped", "black", large)
        columns = (rows[c].tolist() for c in ("frame_id", "value", "place"))
        for i, (frame_id, value, place) in enumerate(zip(*columns, strict=True)):
            x, y = i % _COLUMNS * _WIDTH, top + 2 * _LINE + i // _COLUMNS * (_HEIGHT + _LINE)
            with Image.open(io.BytesIO(thumbnail(place))) as image:
                image.thumbnail((_WIDTH - 4, _HEIGHT - 2))
                sheet.paste(image, (x + 2, y))
            draw.text((x + 2, y + _HEIGHT), f"{frame_id[-16:]}  {value:.3g}", "black", small)
        top += height
    with whole_or_not(path) as file:
        sheet.save(file, "PNG")


def _doubtful_first(rows: pd.DataFrame) -> pd.DataFrame:
    distance = (rows["value"] - rows["threshold"]).abs()
    return rows.iloc[np.argsort(distance.to_numpy(), kind="stable")]


def _spread(total: int, most: int) -> list[int]:
    """At most ``most`` of the positions below ``total``, first and last included, evenly spread."""
    return np.unique(np.linspace(0, max(total - 1, 0), min(total, most)).round().astype(int)).tolist()
