"""Marks by which labels and pictures are known again without being kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtal.datasets.label_map import IGNORE

LOOKS = 32
"""Pictures that are looked at, evenly spread."""

_CELLS = 4
_GRAY_LEVELS = 4  # decoders of other versions differ by one or two, and means of many pixels by less


def label_digests(frame_ids: Sequence[str], labels: Mapping[str, Iterable[NDArray[np.uint8]]]) -> pd.DataFrame:
    """``frame_id`` and, for each task, 16 hexadecimal digits for each frame's label; ``""`` where it has none.

    Args:
        frame_ids: N frames.
        labels: task to N labels, uint8, 255 = not annotated.
    """
    columns = {task: [_digest(label) for label in of_frames] for task, of_frames in labels.items()}
    return pd.DataFrame({"frame_id": list(frame_ids), **columns})


def looks(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean colour of each cell of a coarse grid: ``[N, H, W, 3]`` to ``[N, 48]``."""
    n, height, width, _ = pictures.shape
    rows = np.array_split(np.arange(height), _CELLS)
    columns = np.array_split(np.arange(width), _CELLS)
    cells = [pictures[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1].mean(axis=(1, 2)) for r in rows for c in columns]
    return np.stack(cells, axis=1).round().astype(np.uint8).reshape(n, -1)  # [N, cells, 3] -> [N, 48]


def look_alike(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of N pictures look the same, by their :func:`looks`: ``[N]``."""
    return np.asarray(np.abs(before.astype(int) - now.astype(int)).max(axis=1) <= _GRAY_LEVELS)


def spread(count: int) -> NDArray[np.int64]:
    """At most :data:`LOOKS` positions out of ``count``, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, LOOKS)).round().astype(np.int64))


def _digest(label: NDArray[np.uint8]) -> str:
    if (label == IGNORE).all():
        return ""
    return hashlib.blake2b(np.ascontiguousarray(label).tobytes(), digest_size=8).hexdigest()
