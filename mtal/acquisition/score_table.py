"""The scores of a pool: one row per frame, one column per (task, signal)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.ranks import average_rank

Column = tuple[str, str]
NanPolicy = Literal["raise", "drop_frame", "neutral"]
NAN_POLICIES: tuple[NanPolicy, ...] = ("raise", "drop_frame", "neutral")


@dataclass(frozen=True)
class ScoreTable:
    """Scores of N frames in T columns, float64.

    Args:
        columns: T distinct pairs (task, signal).
        values: ``[N, T]``; NaN is kept until :meth:`resolve` is told what to do with it.
        videos: ``[N]`` integer code of each frame's video, for scores that are normalised video by video.

    Raises:
        ValueError: the shapes disagree, a column stands twice, or a value is infinite.

    >>> table = ScoreTable((("tools", "entropy"),), torch.tensor([[0.1], [0.7], [0.4]]))
    >>> table.percentiles().flatten().tolist()
    [0.0, 100.0, 50.0]
    """

    columns: tuple[Column, ...]
    values: Tensor
    videos: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple((str(task), str(signal)) for task, signal in self.columns))
        object.__setattr__(self, "values", self.values.detach().cpu().double())
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise ValueError(
                f"{len(self.columns)} columns need values [N, {len(self.columns)}], not {list(self.values.shape)}"
            )
        if self.videos is not None and len(self.videos) != len(self):
            raise ValueError(f"there are scores of {len(self)} frames but videos of {len(self.videos)}")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError(f"a column stands twice in {self.columns}")
        infinite = self.values.isinf()
        if infinite.any():
            raise ValueError(f"infinite scores: {self._counted(infinite)}; mend the signal or the head behind them")

    @classmethod
    def from_scores(cls, scores: Mapping[Column, Tensor]) -> ScoreTable:
        """Table of the columns in the order given, each ``[N]``.

        Raises:
            ValueError: there is none.
        """
        if not scores:
            raise ValueError("a score table needs one column or more")
        return cls(tuple(scores), torch.stack([column.detach().cpu().double() for column in scores.values()], dim=1))

    def with_columns(self, scores: Mapping[Column, Tensor]) -> ScoreTable:
        """The same table with more columns, each ``[N]``."""
        more = [column.detach().cpu().double()[:, None] for column in scores.values()]
        return replace(self, columns=(*self.columns, *scores), values=torch.cat([self.values, *more], dim=1))

    def only(self, columns: Sequence[Column]) -> ScoreTable:
        """The same table with these of its columns, in this order."""
        values = self.values[:, [self.columns.index(column) for column in columns]]
        return replace(self, columns=tuple(columns), values=values)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Distinct tasks in the order of their first column."""
        return tuple(dict.fromkeys(task for task, _ in self.columns))

    def percentiles(self) -> Tensor:
        """100·(average rank − 1)/(N − 1) within each column: ``[N, T]`` from 0 (lowest) to 100 (highest).

        Ties share a percentile. Every frame of a constant column, or the only frame, stands at 50. NaN stays NaN and
        is not counted in N.
        """
        ranks = average_rank(self.values)  # [N, T]
        others = (~self.values.isnan()).sum(dim=0) - 1  # [T]
        return torch.where(others > 0, (ranks - 1) * 100 / others.clamp(min=1), ranks * 50)

    def percentiles_at(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """:meth:`percentiles` of n frames among all, one column after the other: ``[n, T]``."""
        found = [self.only([column]).percentiles()[rows] for column in self.columns]  # T of [n, 1]
        return torch.cat(found, dim=1) if found else torch.empty(len(rows), 0, dtype=torch.float64)

    def resolve(self, policy: NanPolicy = "raise") -> tuple[ScoreTable, Tensor]:
        """Table without NaN, and the ``[N]`` bool of frames that it keeps.

        Args:
            policy: ``"raise"``; ``"drop_frame"`` leaves out every frame with a NaN; ``"neutral"`` puts the median of
                the column in its place (0 where the whole column is NaN, which makes it constant).

        Raises:
            ValueError: the policy is unknown, or is ``"raise"`` and there is a NaN.
        """
        if policy not in NAN_POLICIES:
            raise ValueError(f"unknown NaN policy {policy!r}; policies are {', '.join(NAN_POLICIES)}")
        missing = self.values.isnan()  # [N, T]
        keep = torch.ones(len(self), dtype=torch.bool)
        if not missing.any():
            return self, keep
        if policy == "raise":
            raise ValueError(
                f"NaN scores: {self._counted(missing)}; mend the signal, or set nan_policy to drop_frame or neutral"
            )
        if policy == "drop_frame":
            keep = ~missing.any(dim=1)  # [N]
            videos = None if self.videos is None else self.videos[keep.numpy()]
            return replace(self, values=self.values[keep], videos=videos), keep
        middle = self.values.nanquantile(0.5, dim=0).nan_to_num(nan=0.0)  # [T]
        return replace(self, values=torch.where(missing, middle, self.values)), keep

    def _counted(self, wrong: Tensor) -> str:
        counts = zip(self.columns, wrong.sum(dim=0).tolist(), strict=True)
        return ", ".join(f"{task}/{signal} has {n} of {len(self)}" for (task, signal), n in counts if n)
