"""What heads read: the cells of a table, and where its frames are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mtal.datasets.label_map import LabelMap
from mtal.datasets.mask import Size
from mtal.datasets.table_cells import Cells
from mtal.datasets.table_places import Place
from mtal.refusals import Refusals

_LOOKED_AT = 64
T = TypeVar("T")


@dataclass(frozen=True)
class TableRows:
    """The rows of a table.

    Args:
        cells: of the table.
        base: folder that paths start from.
        places: of each row's frame; ``None`` where something is wrong with one, so that all else can still be checked.
    """

    cells: Cells
    base: Path
    places: list[Place] | None

    def check(self, read: Callable[[int, Size | Path], object], rows: Sequence[int]) -> None:
        """Call ``read`` with rows and the sizes of their frames, where these are known.

        Raises:
            FileNotFoundError: all that is wrong are missing files.
            ValueError: something else is wrong.
        """
        if self.places is None:
            return
        refusals = Refusals()
        for row in rows:
            with refusals:
                read(row, self.places[row].frame_size)
        refusals.tell()


def evenly(some: Sequence[T]) -> list[T]:
    """About 64 of them, evenly from all: what is looked at before anything is learnt."""
    return list(some[:: max(1, len(some) // _LOOKED_AT)])


class HeadLabels(NamedTuple):
    """A head and its label in each row, as :class:`mtal.datasets.label_table.LabelTable` takes them."""

    label_map: LabelMap
    labels: list[Any]
