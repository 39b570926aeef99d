"""The whole way from head outputs to picks: score, normalise, fuse, select."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.moments import Moments
from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.score_table import NAN_POLICIES, Column, NanPolicy, ScoreTable
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint, Rule
from mtal.acquisition.selectors.minimum_gap import MinimumGap
from mtal.acquisition.signals.base import Signal
from mtal.tasks.posterior import HeadOutput


class Acquisition:
    """Signals of every head, normalised, fused into one utility per frame, and selected from.

    Score batch by batch with :meth:`score`, join the columns into a :class:`ScoreTable`, turn it into
    :meth:`utility`, and :meth:`select`. What the selector does not need may be left out, see :attr:`needs`.

    Args:
        signals: name of the column to the signal; every signal is asked of every head.
        normalizer: makes the columns comparable.
        fusion: makes one utility of the heads' scores.
        selector: picks the batch.
        minimum_gap_s: seconds between picks of one video, and between them and labelled frames; 0 for none.
        head_weights: task to weight; 1 where not given.
        signal_weights: signal to weight within each head; 1 where not given.
        nan_policy: ``"raise"``, ``"drop_frame"`` or ``"neutral"``, see :meth:`ScoreTable.resolve`.

    Raises:
        ValueError: a weight is negative or names an unknown signal, the gap is negative, or the policy is unknown.

    >>> from mtal.acquisition import Entropy, PercentileRank, TopK, WeightedMean, tie_break
    >>> acquisition = Acquisition({"entropy": Entropy()}, PercentileRank(), WeightedMean(), TopK())
    >>> tools = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.1]], [[0.5, 0.2]], [[0.5, 0.6]]]))
    >>> bleeding = HeadOutput("bernoulli", torch.tensor([[[0.0]], [[0.1]], [[0.3]]]))
    >>> table = ScoreTable.from_scores(acquisition.score({"tools": tools, "bleeding": bleeding}))
    >>> utility = acquisition.utility(table)
    >>> utility.tolist()
    [0.0, 0.5, 1.0]
    >>> candidates = Candidates(tie_break(0, ["a/000000", "a/000025", "a/000050"]), utility=utility)
    >>> acquisition.select(candidates, 2, np.random.default_rng(0)).tolist()
    [2, 1]
    """

    def __init__(
        self,
        signals: Mapping[str, Signal],
        normalizer: Normalizer,
        fusion: Fusion,
        selector: Selector,
        minimum_gap_s: float = 0.0,
        head_weights: Mapping[str, float] | None = None,
        signal_weights: Mapping[str, float] | None = None,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.signals = dict(signals)
        self.normalizer = normalizer
        self.fusion = fusion
        self.selector = selector
        self.minimum_gap_s = float(minimum_gap_s)
        self.head_weights = _checked(head_weights, "head_weights")
        self.signal_weights = _checked(signal_weights, "signal_weights")
        self.nan_policy = nan_policy
        _refuse_unknown(self.signal_weights, self.signals, "signal_weights")
        if nan_policy not in NAN_POLICIES:
            raise ValueError(f"unknown nan_policy {nan_policy!r}; policies are {', '.join(NAN_POLICIES)}")
        if not 0 <= self.minimum_gap_s < float("inf"):
            raise ValueError(f"minimum_gap_s must be 0 seconds or more, not {minimum_gap_s}")

    @property
    def needs(self) -> frozenset[str]:
        """What the selector needs of the candidates: any of ``"utility"``, ``"gradient"``, ``"features"``."""
        return self.selector.needs

    def score(self, outputs: Mapping[str, HeadOutput]) -> dict[Column, Tensor]:
        """Every signal of every head for one batch of n frames: (task, signal) to ``[n]`` float64 on the CPU.

        Args:
            outputs: task to head output, all of the same frames.
        """
        with torch.no_grad():
            return {
                (task, name): signal(head).double().cpu()
                for task, head in outputs.items()
                for name, signal in self.signals.items()
            }

    def utility(self, table: ScoreTable, inactive_tasks: Collection[str] = ()) -> Tensor:
        """Normalise the columns, average them within each head, fuse the heads: ``[N]`` float64.

        Frames dropped by ``nan_policy="drop_frame"`` get NaN and are left out by :meth:`select`. A constant column is
        inactive: its weight is shared among the head's other columns, and the weight of a head without an active
        column among the other heads. With no active head all utilities are 0.

        Args:
            table: scores of the whole pool.
            inactive_tasks: heads that have no label so far; they have no say.

        Raises:
            ValueError: NaN scores under ``nan_policy="raise"``, or a head is named that the table does not have.

        Warns:
            UserWarning: scores are missing, a column is constant, or a head has no label so far.
        """
        _refuse_unknown(self.head_weights, table.tasks, "head_weights")
        _warn_unlabelled(inactive_tasks, table.tasks)
        kept_table, kept = table.resolve(self.nan_policy)
        _warn_missing(table, self.nan_policy)
        utility = torch.full((len(table),), torch.nan, dtype=torch.float64)  # [N]
        if len(kept_table):
            utility[kept] = self._fused(kept_table, inactive_tasks)
        return utility

    def joint_gradient(
        self, blocks: Mapping[str, GradientBlock], inactive_tasks: Collection[str] = ()
    ) -> JointGradientEmbedding:
        """Gradient blocks of the heads side by side, weighted by ``head_weights``.

        Args:
            blocks: task to the gradients of the whole pool.
            inactive_tasks: heads that have no label so far; they have no say.
        """
        _refuse_unknown(self.head_weights, blocks, "head_weights")
        _warn_unlabelled(inactive_tasks, blocks)
        return JointGradientEmbedding(blocks, {**self.head_weights, **dict.fromkeys(inactive_tasks, 0.0)})

    def select(
        self,
        candidates: Candidates,
        budget: int,
        generator: np.random.Generator,
        moments: Moments | None = None,
        labelled_moments: Moments | None = None,
    ) -> Tensor:
        """Positions of the picks in order of choice, ``[budget]`` int64, fewer only when no more are left.

        Args:
            candidates: the pool, with what :attr:`needs` names. A frame of NaN utility is not picked.
            budget: how many frames to pick, 1 or more.
            generator: the only source of randomness.
            moments: video and time of the candidates; needed for a minimum gap.
            labelled_moments: video and time of the labelled frames.

        Raises:
            ValueError: the budget is below 1, or something needed is missing.
        """
        excluded = None if candidates.utility is None else candidates.utility.isnan().cpu().numpy()  # [N]
        rules: list[Rule] = []
        if self.minimum_gap_s > 0:
            if moments is None:
                raise ValueError(
                    f"minimum_gap_s is {self.minimum_gap_s:g}: give the moments of the candidates, or set it to 0"
                )
            rules.append(MinimumGap(self.minimum_gap_s, moments, labelled_moments))
        return self.selector(candidates, budget, generator, Constraint(len(candidates), excluded, rules))

    def _fused(self, table: ScoreTable, inactive_tasks: Collection[str]) -> Tensor:
        """Utility of N ≥ 1 frames without NaN, ``[N]``."""
        active = active_columns(table.values)  # [T]
        if len(table) > 1:
            _warn_constant(table, active, inactive_tasks)
        normalised = self.normalizer(table.values)  # [N, T]
        heads, head_weights = [], []
        for task in table.tasks:
            columns = [i for i, (owner, _) in enumerate(table.columns) if owner == task]
            weights = torch.tensor([self.signal_weights.get(table.columns[i][1], 1.0) for i in columns]).double()
            weights = weights * active[columns]  # [signals]
            total = float(weights.sum())
            heads.append((normalised[:, columns] * (weights / total if total else weights)).sum(dim=1))  # [N]
            speaks = total > 0 and task not in inactive_tasks
            head_weights.append(self.head_weights.get(task, 1.0) if speaks else 0.0)
        if not any(head_weights):
            return torch.zeros(len(table), dtype=torch.float64)
        return self.fusion(torch.stack(heads, dim=1), torch.tensor(head_weights).double(), table.tasks)  # [N]


def _checked(weights: Mapping[str, float] | None, name: str) -> dict[str, float]:
    weights = {str(key): float(value) for key, value in (weights or {}).items()}
    for key, value in weights.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}.{key} must be 0 or more, not {value}")
    return weights


def _refuse_unknown(weights: Mapping[str, float], known: Collection[str], name: str) -> None:
    unknown = [key for key in weights if key not in known]
    if unknown:
        raise ValueError(f"{name} names {unknown[0]!r}, which is not one of {', '.join(known)}")


def _warn_unlabelled(inactive_tasks: Collection[str], tasks: Collection[str]) -> None:
    _refuse_unknown(dict.fromkeys(inactive_tasks, 0.0), tasks, "inactive_tasks")
    if inactive_tasks:
        warnings.warn(
            f"{', '.join(sorted(inactive_tasks))}: no label so far, so no say in this round; the weight is shared "
            f"among the other heads",
            stacklevel=3,
        )


def _warn_missing(table: ScoreTable, policy: NanPolicy) -> None:
    missing = table.values.isnan()  # [N, T]
    if missing.any():
        names = [
            f"{task}/{signal}" for (task, signal), some in zip(table.columns, missing.any(dim=0), strict=True) if some
        ]
        what = "left out" if policy == "drop_frame" else "given the median of the column"
        frames = int(missing.any(dim=1).sum())
        warnings.warn(f"NaN in {', '.join(names)}: {frames} of {len(table)} frames are {what}", stacklevel=3)


def _warn_constant(table: ScoreTable, active: Tensor, inactive_tasks: Collection[str]) -> None:
    constant = [
        f"{task}/{signal}"
        for (task, signal), some in zip(table.columns, active.tolist(), strict=True)
        if not some and task not in inactive_tasks
    ]
    if constant:
        warnings.warn(
            f"{', '.join(constant)}: the same score on all {len(table)} frames, so no say in this round; the weight is "
            f"shared among the others",
            stacklevel=4,
        )
