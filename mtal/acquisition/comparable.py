"""The columns of a round's score table made comparable, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.levels import fuse_columns, fuse_heads, score_heads
from mtal.acquisition.score_table import Column, ScoreTable
from mtal.acquisition.silence import warn_constant

if TYPE_CHECKING:
    from mtal.acquisition.blend import Blend


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
