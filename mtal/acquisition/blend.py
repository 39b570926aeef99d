"""How the columns of a score table become one utility per frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from mtal.acquisition.comparable import Comparable
from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.weighted_mean import WeightedMean
from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.options import as_floats, wrong_choice, wrong_weights
from mtal.acquisition.score_table import NAN_POLICIES, NanPolicy, ScoreTable
from mtal.acquisition.silence import warn_missing
from mtal.refusals import refuse

Level = Literal["heads", "columns"]


@dataclass(frozen=True)
class Blend:
    """Columns made comparable, then fused: the signals of each head first, then the heads.

    Args:
        normalizer: makes the columns comparable.
        fusion: makes one utility of the heads' scores.
        signal_fusion: makes one score of a head's signals; their weighted mean by default.
        level: ``"heads"`` fuses the signals of each head first, then the heads; ``"columns"`` all columns at once.
        signal_weights: signal to weight within each head; 1 where not given.
        per_video: normalise each video by itself.
        frozen_statistics: normalise by the statistics of the first scored round, which the caller brings as
            ``reference``. Not what a ``signal_fusion`` by ranks or points makes of them.
        nan_policy: ``"raise"``, ``"drop_frame"`` or ``"neutral"``, see :meth:`ScoreTable.resolve`.

    Raises:
        ValueError: an option is out of its range.

    >>> from mtal.acquisition import PercentileRank
    >>> scores = {("tools", "entropy"): torch.tensor([0.1, 0.9, 0.5]), ("phase", "entropy"): torch.tensor([7.0, 9, 8])}
    >>> Blend(PercentileRank(), WeightedMean())(ScoreTable.from_scores(scores)).tolist()
    [0.0, 1.0, 0.5]
    """

    normalizer: Normalizer
    fusion: Fusion
    signal_fusion: Fusion = field(default_factory=WeightedMean)
    level: Level = "heads"
    signal_weights: Mapping[str, float] = field(default_factory=dict)
    per_video: bool = False
    frozen_statistics: bool = False
    nan_policy: NanPolicy = "raise"

    def __post_init__(self) -> None:
        object.__setattr__(self, "signal_weights", as_floats(self.signal_weights))
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from wrong_weights(self.signal_weights, "signal_weights")
        yield from wrong_choice("nan_policy", self.nan_policy, NAN_POLICIES)
        yield from wrong_choice("level", self.level, get_args(Level))

    def __call__(
        self,
        table: ScoreTable,
        say: Mapping[str, float] | None = None,
        *,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        reference: ScoreTable | None = None,
    ) -> Tensor:
        """One utility per frame: ``[N]`` float64, see :meth:`comparable` and :meth:`Comparable.utility`."""
        return self.comparable(table, ranges=ranges, reference=reference).utility(say)

    def comparable(
        self,
        table: ScoreTable,
        *,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        reference: ScoreTable | None = None,
    ) -> Comparable:
        """The columns made comparable, which takes a pass over the whole pool for each.

        Args:
            table: scores of the whole pool; with its videos where ``per_video``.
            ranges: signal to its smallest and largest possible value, for normalisers that read them.
            reference: scores of an earlier round that the statistics are taken from; ``None`` for ``table``.

        Raises:
            ValueError: NaN scores under ``nan_policy="raise"``, ``per_video`` and no videos, or a ``reference`` with
                other columns.

        Warns:
            UserWarning: scores are missing.
        """
        if self.per_video and table.videos is None:
            raise ValueError("per_video normalises each video by itself: give the frames' videos, or set it to false")
        kept_table, kept = table.resolve(self.nan_policy)
        warn_missing(table, self.nan_policy)
        normalised = kept_table.values  # [n, T]
        if len(kept_table):
            normalised = self._normalised(kept_table, ranges, reference)
        return Comparable(self, table, kept, normalised, active_columns(kept_table.values), active_columns(normalised))

    def _normalised(
        self, table: ScoreTable, ranges: Mapping[str, tuple[float, float]] | None, reference: ScoreTable | None
    ) -> Tensor:
        """Every column made comparable, ``[N, T]``."""
        bounds = None
        if ranges is not None:
            bounds = torch.tensor([ranges[name] for _, name in table.columns], dtype=torch.float64).reshape(-1, 2)
        groups = torch.as_tensor(table.videos) if self.per_video else None
        if reference is None:
            return self.normalizer(table.values, groups=groups, ranges=bounds)
        if reference.columns != table.columns:
            raise ValueError(f"the reference has the columns {reference.columns}, the scores {table.columns}")
        known = ~reference.values.isnan().any(dim=1)  # [R]
        by_video = groups is not None and reference.videos is not None
        return self.normalizer(
            table.values,
            reference=reference.values[known],
            groups=groups,
            reference_groups=torch.as_tensor(reference.videos)[known] if by_video else None,
            ranges=bounds,
        )
