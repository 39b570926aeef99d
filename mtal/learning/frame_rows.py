"""What a frame index says of some of its rows, as acquisition wants it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from mtal.acquisition import Moments, tie_break
from mtal.frames.index import FrameIds, FrameIndex
from mtal.frames.window import Windows
from mtal.learning.askable_pool import Rows

_NAMES = 4096  # of frames, held at once


class FrameRows:
    """Names, times, videos and patients of frames, by their rows; of a whole pool no list of strings is ever made.

    Args:
        index: all frames.
        windows: what the model is shown of each frame; all of it where ``None``.
    """

    def __init__(self, index: FrameIndex, windows: Windows | None = None) -> None:
        self.index, self._windows = index, windows
        self._video = index.table["video"].cat.codes.to_numpy()
        self._patient = index.table["patient"].cat.codes.to_numpy()
        self._time_s = index.table["time_s"].to_numpy()

    def of(self, frame_ids: FrameIds) -> Rows:
        """The rows of frames."""
        return self.index.positions(frame_ids)

    def ids(self, rows: Rows) -> list[str]:
        """The frames."""
        return self.index.table["frame_id"].iloc[rows].tolist()

    def hashes(self, seed: int, rows: Rows) -> npt.NDArray[np.uint64]:
        """What decides between frames of equal worth, ``[N]``: it depends on their names alone."""
        some = (self.ids(rows[start : start + _NAMES]) for start in range(0, len(rows), _NAMES))
        return tie_break(seed, chain.from_iterable(some))

    def videos(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Codes of their videos, ``[N]``."""
        return self._video[rows].astype(np.int64)

    @property
    def video_names(self) -> list[str]:
        """Code to video."""
        return self.index.table["video"].cat.categories.tolist()

    def patients(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Codes of their patients, ``[N]``."""
        return self._patient[rows].astype(np.int64)

    def codes(self, patients: Sequence[str]) -> npt.NDArray[np.int64]:
        """Codes of patients, but for those of whom no frame is in the index."""
        codes = {name: code for code, name in enumerate(self.index.table["patient"].cat.categories)}
        return np.array([codes[name] for name in patients if name in codes], dtype=np.int64)

    def moments(self, rows: Rows) -> Moments:
        """Where they stand in time."""
        return Moments(self.videos(rows), self._time_s[rows])

    def windows(self, rows: Rows) -> Windows | None:
        """What the model is shown of them."""
        return None if self._windows is None else self._windows[rows]
