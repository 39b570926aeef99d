"""What several annotators say together: the majority, and nothing where it is tied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import Size

Labels = npt.NDArray[np.uint8]


def majority(votes: Labels, classes: int) -> Labels:
    """What most of A annotators say at each site: ``[A, ...]`` to ``[...]``.

    ``IGNORE`` is no vote; it is what comes of a tie, and of no vote at all.

    >>> majority(np.array([[1, 0, 1], [1, 1, 255], [0, 255, 255]], dtype=np.uint8), classes=2).tolist()
    [1, 255, 1]
    """
    best = np.zeros(votes.shape[1:], dtype=np.int64)
    winner = np.full(votes.shape[1:], IGNORE, dtype=np.uint8)
    for c in range(classes):
        count = (votes == c).sum(axis=0)
        winner = np.where(count > best, c, np.where((count == best) & (count > 0), IGNORE, winner)).astype(np.uint8)
        best = np.maximum(best, count)
    return winner


def values_of(label_map: LabelMap) -> int:
    """How many values a site may have but for ``IGNORE``."""
    return len(label_map.classes) if label_map.exclusive else 2


@dataclass(frozen=True)
class StoredMask:
    """The majority of the masks of one frame, read when it is asked for.

    Args:
        files: one for each annotator, as the store names them.
    """

    files: tuple[Path, ...]

    def read(self, label_map: LabelMap, frame_size: Size | Path | None = None) -> Labels:
        """See :class:`mtal.datasets.label_table.DrawnMask`."""
        votes = [read_stored(file, label_map) for file in self.files]
        other = next((f for f, v in zip(self.files, votes, strict=True) if v.shape != votes[0].shape), None)
        if other is not None:
            raise ValueError(f"{other}: the mask is of another size than {self.files[0]} of the same frame")
        return votes[0] if len(votes) == 1 else majority(np.stack(votes), values_of(label_map))


def layer_files(path: Path, layers: int | None) -> list[Path]:
    """The files of a stored mask: one, or one for each of so many layers."""
    return [path] if layers is None else [path.with_suffix(f".{c}.png") for c in range(layers)]


def read_stored(path: Path, label_map: LabelMap) -> Labels:
    """``[H, W]``, or ``[C, H, W]`` where classes overlap.

    Raises:
        FileNotFoundError: the file is gone.
    """
    files = layer_files(path, None if label_map.exclusive else len(label_map.classes))
    layers: Sequence[Labels] = [_read(file) for file in files]
    return layers[0] if label_map.exclusive else np.stack(layers)


def _read(file: Path) -> Labels:
    try:
        with Image.open(file) as image:
            return np.asarray(image, dtype=np.uint8)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: the label store names this mask, and it is gone; restore it") from None
