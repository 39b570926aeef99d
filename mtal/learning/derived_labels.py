"""Labels that nobody gave: a model's, or those of a neighbouring frame. They teach, and are counted nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import Labels, Masks, Rows, SomeLabels, in_parts, take


@dataclass(frozen=True)
class DerivedLabels:
    """Frames that nobody labelled, with labels that were derived for them.

    Args:
        name: of their file in the run folder, without its suffix.
        frame_ids: of M frames.
        positions: ``[M]`` in the frame index.
        videos: ``[M]``.
        targets: by task, uint8 ``[M, …]``, 255 = none was derived.
        weight: of their loss.
        share: how many of them a batch has for each labelled frame.
        of: ``[M]`` position of the labelled frame that a label comes from; −1 where it is a model's.
        always_changed: a batch shows views of them and never the frames themselves, where there are views.
        told: what else a round keeps of how they were derived.
    """

    name: str
    frame_ids: Sequence[str]
    positions: npt.NDArray[np.int64]
    videos: npt.NDArray[Any]
    targets: Mapping[str, SomeLabels]
    weight: float
    share: float
    of: npt.NDArray[np.int64]
    always_changed: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, rows: npt.NDArray[np.int64]) -> DerivedLabels:
        """Those of the frames at ``rows``."""
        return replace(
            self,
            frame_ids=[self.frame_ids[i] for i in rows.tolist()],
            positions=self.positions[rows],
            videos=self.videos[rows],
            targets={task: take(y, rows) for task, y in self.targets.items()},
            of=self.of[rows],
        )

    def without(self, positions: npt.NDArray[np.int64], videos: npt.NDArray[Any]) -> DerivedLabels:
        """Those that owe nothing to labelled frames at ``positions``, nor show one of ``videos``."""
        return self.take(np.flatnonzero(~(np.isin(self.of, positions) | np.isin(self.videos, videos))))

    def shares(self) -> dict[str, npt.NDArray[np.float64]]:
        """By task, the part of each frame's labels or pixels that was derived, ``[M]`` in [0, 1]."""
        return {
            task: np.concatenate([np.empty(0), *(known(part).mean(axis=1) for part in in_parts(y))])
            for task, y in self.targets.items()
        }

    def table(self) -> pd.DataFrame:
        """``frame_id``, ``of`` (a position in ``frames.parquet``, −1 for none) and ``share/<task>`` of each frame."""
        shares = {f"share/{task}": share for task, share in self.shares().items()}
        return pd.DataFrame({"frame_id": list(self.frame_ids), "of": self.of, **shares})

    def record(self) -> dict[str, Any]:
        """What ``metrics.json`` keeps: the number of frames and the mean share of each head, beside ``told``."""
        shares = {task: round(float(share.mean()), 4) if len(share) else 0.0 for task, share in self.shares().items()}
        return {"frames": len(self), "share": shares, **self.told}


def known(labels: Labels) -> npt.NDArray[np.bool_]:
    """Where there is a label, ``[n, …]`` to ``[n, K]``."""
    return np.asarray((labels != IGNORE).reshape(len(labels), -1))


class CoarseMasks(Masks):
    """Masks ``[n, (C,) h, w]`` of the cells of a decoder's map, given back at ``size``: each pixel as its cell.

    Args:
        masks: uint8.
        size: (H, W).

    >>> CoarseMasks(np.array([[[0, 255]]], dtype=np.uint8), (1, 4))[[0]].tolist()
    [[[0, 0, 255, 255]]]
    """

    def __init__(self, masks: Labels, size: tuple[int, int]) -> None:
        super().__init__([], (*masks.shape[1:-2], *size))
        self.shape = (len(masks), *self.shape[1:])
        self._cells = masks
        self._size = size
        self._at = [(np.arange(side) * cells) // side for side, cells in zip(size, masks.shape[-2:], strict=True)]

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, rows: Rows) -> Labels:
        """See :class:`~mtal.datasets.masks.Masks`."""
        down, along = self._at
        cells: Labels = self._cells[rows]
        return cells[..., down, :][..., along]

    def take(self, rows: Rows) -> Masks:
        """The frames at ``rows``."""
        return CoarseMasks(self._cells[rows], self._size)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which frames have a label, ``[n]``."""
        return np.asarray(known(self._cells).any(axis=1))
