"""The frame index: every frame that exists to be labelled, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from mtal.refusals import SHOWN

SPLITS = ("pool", "val", "test")
_DTYPES = {
    "frame_id": "str",
    "patient": "str",
    "video": "str",
    "frame": "int64",
    "time_s": "float64",
    "source": "str",
    "split": "str",
}
COLUMNS = tuple(_DTYPES)


def frame_id(video: str, frame: int) -> str:
    """``"<video>/<frame:06d>"`` with ``frame`` the native 0-based number in presentation order.

    >>> frame_id("video01", 1250)
    'video01/001250'
    """
    return f"{video}/{frame:06d}"


@dataclass(frozen=True)
class FrameIndex:
    """A checked table of frames: ``frame_id, patient, video, frame, time_s, source, split``.

    ``frame`` is the native 0-based frame number in presentation order, ``time_s`` its presentation time in seconds,
    ``source`` the video file or image folder it is read from and ``split`` one of ``pool``, ``val``, ``test``.

    Args:
        table: the rows, in any order; they are kept sorted by (video, frame).
        disjoint_by: what must not be shared between splits. ``"video"`` allows one patient in two splits and is for
            data sets with too few patients only.

    Raises:
        ValueError: a column is missing, a frame is listed twice, a split is unknown, a video is of two patients, or a
            patient (or video) is in two splits.
    """

    table: pd.DataFrame
    disjoint_by: Literal["patient", "video"] = "patient"

    def __post_init__(self) -> None:
        missing = [c for c in COLUMNS if c not in self.table]
        if missing:
            raise ValueError(f"the frame index lacks the columns {missing}; it needs {list(COLUMNS)}")
        table = self.table.loc[:, list(COLUMNS)].astype(_DTYPES)
        table = table.sort_values(["video", "frame"], kind="stable", ignore_index=True)
        _check(table, self.disjoint_by)
        object.__setattr__(self, "table", table)

    @classmethod
    def read(cls, path: Path, disjoint_by: Literal["patient", "video"] = "patient") -> FrameIndex:
        """Read a Parquet file written by :meth:`write`."""
        return cls(pd.read_parquet(path), disjoint_by)

    def write(self, path: Path) -> None:
        """Write the table as Parquet."""
        self.table.to_parquet(path, index=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def frame_ids(self) -> list[str]:
        """Frame identities in the order of the rows."""
        return self.table["frame_id"].tolist()

    def split(self, name: str) -> FrameIndex:
        """The rows of one split (possibly none)."""
        return FrameIndex(self.table[self.table["split"] == name], self.disjoint_by)

    def select(self, frame_ids: Sequence[str]) -> pd.DataFrame:
        """Rows of ``frame_ids`` in the order asked.

        Raises:
            KeyError: a frame is not in the index.
        """
        by_id = self.table.set_index("frame_id", drop=False)
        unknown = [f for f in frame_ids if f not in by_id.index]
        if unknown:
            raise KeyError(f"{len(unknown)} of the frames asked are not in the frame index: {_first(unknown)}")
        return by_id.loc[list(frame_ids)].reset_index(drop=True)


def _check(table: pd.DataFrame, disjoint_by: str) -> None:
    twice = table.loc[table["frame_id"].duplicated(), "frame_id"].unique().tolist()
    if twice:
        raise ValueError(f"{_first(twice)} {'is' if len(twice) == 1 else 'are'} listed twice in the frame index")
    unknown = sorted(set(table["split"]) - set(SPLITS))
    if unknown:
        raise ValueError(f"unknown split {_first(unknown)}; splits are {', '.join(SPLITS)}")
    patients = table.groupby("video")["patient"].unique()
    shared = [f"{video!r} of {' and '.join(sorted(of))}" for video, of in patients.items() if len(of) > 1]
    if shared:
        raise ValueError(
            f"recordings of several patients: {_first(shared, plain=True)}; give each patient's recordings names of "
            "their own"
        )
    splits = table.groupby(disjoint_by)["split"].unique()
    mixed = [f"{key!r} is in the splits {' and '.join(sorted(of))}" for key, of in splits.items() if len(of) > 1]
    if mixed:
        raise ValueError(
            f"{disjoint_by} {_first(mixed, plain=True)}: frames would be both learnt from and tested on; give each "
            f"{disjoint_by} one split"
        )


def _first(names: Sequence[str], plain: bool = False) -> str:
    """The first three, and how many more there are."""
    shown = ", ".join(name if plain else repr(str(name)) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
