"""From the columns of a score table to one utility per frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.weighted_mean import WeightedMean
from mtal.acquisition.levels import fuse_columns, fuse_heads, score_heads
from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.options import as_floats, wrong_choice, wrong_weights
from mtal.acquisition.score_table import NAN_POLICIES, Column, NanPolicy, ScoreTable
from mtal.acquisition.silence import warn_constant, warn_missing
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
        """One utility per frame: ``[N]`` float64.

        Frames dropped by ``nan_policy="drop_frame"`` get NaN. A column that is constant, before it is normalised or
        after, is inactive: its weight is shared among the head's other columns, and the weight of a head without an
        active column among the other heads. With no active head all utilities are 0.

        Args:
            table: scores of the whole pool; with its videos where ``per_video``.
            say: task to its weight, from :class:`~mtal.acquisition.say.Say`; ``None`` for the same of all.
            ranges: signal to its smallest and largest possible value, for normalisers that read them.
            reference: scores of an earlier round that the statistics are taken from; ``None`` for ``table``.

        Raises:
            ValueError: NaN scores under ``nan_policy="raise"``, ``per_video`` and no videos, or a ``reference`` with
                other columns.

        Warns:
            UserWarning: scores are missing, or a column is constant.
        """
        if self.per_video and table.videos is None:
            raise ValueError("per_video normalises each video by itself: give the frames' videos, or set it to false")
        say = dict.fromkeys(table.tasks, 1.0) if say is None else say
        kept_table, kept = table.resolve(self.nan_policy)
        warn_missing(table, self.nan_policy)
        utility = torch.full((len(table),), torch.nan, dtype=torch.float64)  # [N]
        if len(kept_table) == 0:
            return utility
        normalised = self._normalised(kept_table, ranges, reference)  # [N, T]
        if len(kept_table) > 1:
            warn_constant(kept_table, normalised, [task for task, weight in say.items() if not weight])
        own = self._own(kept_table, normalised)  # [T]
        if self.level == "columns":
            utility[kept] = fuse_columns(table.columns, normalised, own, say, self.fusion)
        else:
            utility[kept] = fuse_heads(
                table.columns, normalised, own, say, self.signal_fusion, self.fusion, self.normalizer
            )
        return utility

    def gains(
        self,
        table: ScoreTable,
        say: Mapping[str, float],
        *,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        reference: ScoreTable | None = None,
    ) -> Tensor:
        """What an answer of each head is expected to be worth, ``[N, H]`` float64, heads in the order of ``say``.

        The head's normalised score above the least in the pool, times its say; 0 for frames that ``nan_policy`` drops.
        For the arguments see a call.
        """
        kept_table, kept = table.resolve(self.nan_policy)
        gains = torch.zeros(len(table), len(say), dtype=torch.float64)  # [N, H]
        if len(kept_table):
            normalised = self._normalised(kept_table, ranges, reference)  # [N, T]
            own = self._own(kept_table, normalised)
            of_head = score_heads(table.columns, normalised, own, say, self.signal_fusion, self.normalizer)
            gains[kept] = (of_head[0] - of_head[0].min(dim=0).values) * of_head[1]
        return gains

    def _own(self, table: ScoreTable, normalised: Tensor) -> Tensor:
        """Weight of each column within its head, 0 for a constant one, ``[T]``."""
        weights = torch.tensor([self.signal_weights.get(name, 1.0) for _, name in table.columns]).double()
        return weights * active_columns(table.values) * active_columns(normalised)

    def heard(
        self,
        table: ScoreTable,
        say: Mapping[str, float],
        *,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        reference: ScoreTable | None = None,
    ) -> list[Column]:
        """Columns that the utility is made of: not constant ones, nor those of heads or signals without a say.

        For the arguments see a call.
        """
        kept_table, _ = table.resolve(self.nan_policy)
        if not len(kept_table):
            return []
        own = self._own(kept_table, self._normalised(kept_table, ranges, reference))  # [T]
        speaking = [(*column, weight) for column, weight in zip(table.columns, own.tolist(), strict=True) if weight]
        if self.level == "columns":
            loud = _named(self.fusion, {f"{task}/{name}": say[task] for task, name, _ in speaking})
            return [(task, name) for task, name, _ in speaking if f"{task}/{name}" in loud]
        heard: list[Column] = []
        for head in _named(self.fusion, {task: say[task] for task, _, _ in speaking}):
            signals = {name: weight for task, name, weight in speaking if task == head}
            heard += [(head, name) for name in (signals if len(signals) == 1 else _named(self.signal_fusion, signals))]
        return heard

    def _normalised(
        self, table: ScoreTable, ranges: Mapping[str, tuple[float, float]] | None, reference: ScoreTable | None
    ) -> Tensor:
        """Every column made comparable, ``[N, T]``."""
        bounds = None
        if ranges is not None:
            bounds = torch.tensor([ranges[name] for _, name in table.columns], dtype=torch.float64)  # [T, 2]
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


def _named(fusion: Fusion, weights: Mapping[str, float]) -> list[str]:
    """Those of the names whose scores ``fusion`` hears."""
    heard = fusion.heard(torch.tensor([*weights.values()], dtype=torch.float64), [*weights])
    return [name for name, yes in zip(weights, heard.tolist(), strict=True) if yes]
