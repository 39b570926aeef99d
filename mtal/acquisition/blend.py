"""From the columns of a score table to one utility per frame, and to what is read from them beside it."""

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


@dataclass(frozen=True)
class Comparable:
    """Normalised columns: utility, gains and what had a say are read from them, and the pool is normalised once.

    Letters: N frames, n of them kept, T columns, H heads.

    Args:
        blend: by whose rules they are fused.
        table: the scores of all N frames.
        kept: ``[N]`` bool; others are left out by ``nan_policy="drop_frame"``.
        normalised: ``[n, T]`` float64.
        scored: ``[T]`` bool, the columns that are not constant.
        left: ``[T]`` bool, those that are not once they are normalised.
    """

    blend: Blend
    table: ScoreTable
    kept: Tensor
    normalised: Tensor
    scored: Tensor
    left: Tensor

    def utility(self, say: Mapping[str, float] | None = None) -> Tensor:
        """One utility per frame: ``[N]`` float64, NaN for frames that are left out.

        A column that is constant, before it is normalised or after, is inactive: its weight is shared among the head's
        other columns, and the weight of a head without an active column among the other heads. With no active head all
        utilities are 0.

        Args:
            say: task to its weight, from :class:`~mtal.acquisition.say.Say`; ``None`` for the same of all.

        Warns:
            UserWarning: a column is constant.
        """
        say = dict.fromkeys(self.table.tasks, 1.0) if say is None else say
        utility = torch.full((len(self.table),), torch.nan, dtype=torch.float64)  # [N]
        if len(self.normalised) > 1:
            silent = [task for task, weight in say.items() if not weight]
            warn_constant(self.table.columns, len(self.normalised), self.scored, self.left, silent)
        if len(self.normalised):
            utility[self.kept] = self._fused(say)
        return utility

    def gains(self, say: Mapping[str, float]) -> Tensor:
        """What an answer of each head is expected to be worth, ``[N, H]`` float64, heads in the order of ``say``.

        The head's normalised score above the least in the pool, times its say; 0 for frames that are left out.
        """
        gains = torch.zeros(len(self.table), len(say), dtype=torch.float64)  # [N, H]
        if len(self.normalised):
            rules = self.blend
            scores, weights = score_heads(
                self.table.columns, self.normalised, self._own, say, rules.signal_fusion, rules.normalizer
            )
            gains[self.kept] = (scores - scores.min(dim=0).values) * weights
        return gains

    def heard(self, say: Mapping[str, float]) -> list[Column]:
        """Columns that the utility is made of: not constant ones, nor those of heads or signals without a say."""
        speaking = [
            (*column, weight) for column, weight in zip(self.table.columns, self._own.tolist(), strict=True) if weight
        ]
        if self.blend.level == "columns":
            loud = _named(self.blend.fusion, {f"{task}/{name}": say[task] for task, name, _ in speaking})
            return [(task, name) for task, name, _ in speaking if f"{task}/{name}" in loud]
        heard: list[Column] = []
        for head in _named(self.blend.fusion, {task: say[task] for task, _, _ in speaking}):
            signals = {name: weight for task, name, weight in speaking if task == head}
            names = signals if len(signals) == 1 else _named(self.blend.signal_fusion, signals)
            heard += [(head, name) for name in names]
        return heard

    @property
    def _own(self) -> Tensor:
        """Weight of each column within its head, 0 for a constant one, ``[T]``."""
        weights = torch.tensor([self.blend.signal_weights.get(name, 1.0) for _, name in self.table.columns]).double()
        return weights * self.scored * self.left

    def _fused(self, say: Mapping[str, float]) -> Tensor:
        """``[n]``."""
        rules, columns = self.blend, self.table.columns
        if rules.level == "columns":
            return fuse_columns(columns, self.normalised, self._own, say, rules.fusion)
        return fuse_heads(columns, self.normalised, self._own, say, rules.signal_fusion, rules.fusion, rules.normalizer)


def _named(fusion: Fusion, weights: Mapping[str, float]) -> list[str]:
    """Those of the names whose scores ``fusion`` hears."""
    heard = fusion.heard(torch.tensor([*weights.values()], dtype=torch.float64), [*weights])
    return [name for name, yes in zip(weights, heard.tolist(), strict=True) if yes]
