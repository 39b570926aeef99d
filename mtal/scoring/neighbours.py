"""Features of the frames before and after a frame, beside its own.

Letters: N frames, W neighbours of each, D numbers of a pooled vector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from joblib import hash as hash_of
from torch import Tensor

from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs
from mtal.scoring.look import shared_features
from mtal.whole_files import IN_A_RUN, whole_or_not

NOBODY = -1


class WithNeighbours:
    """Levels of frames, and in front of them the pooled vectors of their neighbours, ``[n, W, D + 1]``.

    See :class:`~mtal.models.temporal.Temporal`.

    Args:
        inputs: levels of a frozen encoder.
        pooled: of every frame, ``[N, D]`` float32.
        places: rows of the neighbours of every frame, ``[N, W]``; see :func:`neighbours`.
    """

    def __init__(self, inputs: Inputs, pooled: npt.NDArray[np.float32], places: npt.NDArray[np.int64]) -> None:
        self.inputs = inputs
        self.places = places
        there = np.ones((len(pooled) + 1, 1), dtype=np.float32)
        self._pooled = np.hstack([np.vstack([pooled, np.zeros_like(pooled[:1])]), there])  # the last row is nobody's
        self._pooled[NOBODY] = 0

    @property
    def key(self) -> str:
        """See :class:`~mtal.scoring.inputs.Inputs`."""
        return f"{self.inputs.key} {hash_of(self.places)}"

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, positions: np.ndarray) -> list[Tensor]:
        """See :class:`~mtal.scoring.inputs.Inputs`."""
        levels = self.inputs.batch(positions)
        assert not isinstance(levels, Tensor)
        return [torch.from_numpy(self._pooled[self.places[positions]]), *levels]

    def in_files(self, folder: Path, key: str) -> MappedNeighbours:
        """The same for other processes, which map the files instead of receiving copies: 2 GiB for a million frames.

        Args:
            folder: where the files lie, which is there.
            key: of all that vectors and places depend on; files of that key are taken as they are.

        Raises:
            OSError: they cannot be written.
        """
        files = folder / f"pooled-{key}.npy", folder / f"places-{key}.npy"
        for file, array in zip(files, (self._pooled, self.places), strict=True):
            if not file.exists():
                with whole_or_not(file, IN_A_RUN) as unfinished:
                    np.save(unfinished, array)
        return MappedNeighbours(self.inputs, *files)


class MappedNeighbours(WithNeighbours):
    """Neighbours whose vectors and places are memory-mapped, and pickled as the names of their files.

    Args:
        inputs: see :class:`WithNeighbours`.
        pooled: file of the vectors, ``[N + 1, D + 1]``, nobody's last.
        places: file of the places, ``[N, W]``.
    """

    def __init__(self, inputs: Inputs, pooled: Path, places: Path) -> None:
        self.inputs = inputs
        self._files = pooled, places
        self._pooled, self.places = (np.asarray(np.load(file, mmap_mode="r")) for file in self._files)

    def __reduce__(self) -> tuple[type[MappedNeighbours], tuple[Inputs, Path, Path]]:
        return MappedNeighbours, (self.inputs, *self._files)


def neighbours(table: pd.DataFrame, before: int, after: int) -> npt.NDArray[np.int64]:
    """Rows of the frames before and after each frame in its recording, by time: ``[N, before + after]``.

    From the earliest to the last, :data:`NOBODY` beyond the ends of the recording.

    Args:
        table: rows of a frame index: ``video``, ``time_s``, ``frame``.
        before: how many.
        after: how many.
    """
    videos = pd.factorize(table["video"])[0]
    order = np.lexsort((table["frame"].to_numpy(), table["time_s"].to_numpy(), videos))
    found = np.full((len(table), before + after), NOBODY, dtype=np.int64)
    for column, step in enumerate([*range(-before, 0), *range(1, after + 1)]):
        here, there = (order[-step:], order[:step]) if step < 0 else (order[:-step], order[step:])
        same = videos[here] == videos[there]
        found[here[same], column] = there[same]
    return found


def with_neighbours(model: MultiTaskModel, inputs: Inputs, table: pd.DataFrame, device: torch.device) -> Inputs:
    """``inputs`` with what the model reads of neighbouring frames, if it reads any.

    Args:
        model: its encoder is frozen where it does.
        inputs: the encoder's levels of the frames in ``table``.
        table: rows of a frame index.
        device: where vectors are pooled.
    """
    if model.temporal is None:
        return inputs
    pooled = shared_features(model, inputs, np.arange(len(inputs)), device)
    return WithNeighbours(inputs, pooled, neighbours(table, model.temporal.before, model.temporal.after))
