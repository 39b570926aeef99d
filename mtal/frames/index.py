"""The frame index: every frame that exists to be labelled, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mtal.refusals import SHOWN
from mtal.row_groups import write_row_groups

SPLITS = ("pool", "val", "test")
FrameIds = Sequence[str] | pd.Series  # of strings: long ones lie in one piece of memory
_PLAIN = {
    "frame_id": "str",
    "patient": "str",
    "video": "str",
    "frame": "int64",
    "time_s": "float64",
    "source": "str",
    "split": "str",
}
COLUMNS = tuple(_PLAIN)
_NAMES = ("patient", "video", "source", "split")  # of which many frames have the same one


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

    A long index is held in few bytes per frame: what many frames share is a categorical column, and frame identities
    lie side by side in one piece of memory.

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
        table = typed(self.table.loc[:, list(COLUMNS)])
        table = table.sort_values(["video", "frame"], kind="stable", ignore_index=True)
        _check(table, self.disjoint_by)
        object.__setattr__(self, "table", table)

    @classmethod
    def read(cls, path: Path, disjoint_by: Literal["patient", "video"] = "patient") -> FrameIndex:
        """Read a Parquet file written by :meth:`write`."""
        return cls(pd.read_parquet(path), disjoint_by)

    def write(self, path: Path) -> None:
        """Write the table as Parquet, with plain columns."""
        write_row_groups(path, len(self), lambda rows: self.table.iloc[rows].astype(_PLAIN))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def pool(self) -> npt.NDArray[np.int64]:
        """Rows of the split ``pool``."""
        return np.flatnonzero(self.table["split"] == "pool")

    @property
    def frame_ids(self) -> list[str]:
        """Frame identities in the order of the rows."""
        return self.table["frame_id"].tolist()

    def split(self, name: str) -> FrameIndex:
        """The rows of one split (possibly none)."""
        return FrameIndex(self.table[self.table["split"] == name], self.disjoint_by)

    def positions(self, frame_ids: FrameIds) -> npt.NDArray[np.int64]:
        """Rows of ``frame_ids`` in the order asked, ``[n]``.

        Raises:
            KeyError: a frame is not in the index.
        """
        return positions(self.table["frame_id"], frame_ids)

    def names(self, column: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Patients, say, of the frames at some rows, ``[n]`` of strings."""
        return np.asarray(self.table[column].iloc[positions].astype("str"), dtype=object)

    def select(self, frame_ids: Sequence[str]) -> pd.DataFrame:
        """Rows of ``frame_ids`` in the order asked, with plain columns.

        Raises:
            KeyError: a frame is not in the index.
        """
        return self.table.iloc[self.positions(frame_ids)].astype(_PLAIN).reset_index(drop=True)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns of a frame index as one holds them, from one that has them in any type."""
    plain = table.astype({column: kind for column, kind in _PLAIN.items() if column in table})
    return plain.astype({column: "category" for column in _NAMES if column in table})


def positions(there: pd.Series[str], frame_ids: FrameIds, where: str = "the frame index") -> npt.NDArray[np.int64]:
    """Places of ``frame_ids`` in ``there``, ``[n]``, by one pass over it.

    Args:
        there: distinct frame identities.
        frame_ids: those asked for.
        where: what ``there`` is, for the message.

    Raises:
        KeyError: one is not there.
    """
    codes, asked = pd.factorize(pd.Series(frame_ids, dtype="str"))
    found = pc.index_in(pa.array(there), value_set=pa.array(asked, pa.large_string()))
    found = found.fill_null(-1).to_numpy(zero_copy_only=False)  # [N], -1 where nobody asked
    hits = np.flatnonzero(found >= 0)
    place = np.full(len(asked), -1, dtype=np.int64)
    place[found[hits]] = hits
    if (place < 0).any():
        unknown = asked[place < 0].tolist()
        raise KeyError(f"{len(unknown)} of the frames asked are not in {where}: {_first(unknown)}")
    return place[codes]


def _check(table: pd.DataFrame, disjoint_by: str) -> None:
    twice = table.loc[table["frame_id"].duplicated(), "frame_id"].unique().tolist()
    if twice:
        raise ValueError(f"{_first(twice)} {'is' if len(twice) == 1 else 'are'} listed twice in the frame index")
    unknown = sorted(set(table["split"].unique()) - set(SPLITS))
    if unknown:
        raise ValueError(f"unknown split {_first(unknown)}; splits are {', '.join(SPLITS)}")
    shared = [f"{video!r} of {' and '.join(of)}" for video, of in _several(table, "video", "patient")]
    if shared:
        raise ValueError(
            f"recordings of several patients: {_first(shared, plain=True)}; give each patient's recordings names of "
            "their own"
        )
    mixed = [f"{key!r} is in the splits {' and '.join(of)}" for key, of in _several(table, disjoint_by, "split")]
    if mixed:
        raise ValueError(
            f"{disjoint_by} {_first(mixed, plain=True)}: frames would be both learnt from and tested on; give each "
            f"{disjoint_by} one split"
        )


def _several(table: pd.DataFrame, key: str, value: str) -> list[tuple[str, list[str]]]:
    """What has several values where it should have one, and these, both in order."""
    pairs = table[[key, value]].drop_duplicates().astype("str")
    several = pairs[pairs[key].duplicated(keep=False)]
    return [(str(name), sorted(of)) for name, of in several.groupby(key)[value]]


def _first(names: Sequence[str], plain: bool = False) -> str:
    """The first three, and how many more there are."""
    shown = ", ".join(name if plain else repr(str(name)) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
