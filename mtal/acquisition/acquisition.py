"""The whole way from head outputs to picks: score, normalise, fuse, select."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.weighted_mean import WeightedMean
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.levels import fuse_columns, fuse_heads
from mtal.acquisition.moments import Moments
from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.score_table import NAN_POLICIES, Column, NanPolicy, ScoreTable
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.cap import Cap
from mtal.acquisition.selectors.constraints import Constraint, Rule
from mtal.acquisition.selectors.cost_budget import CostBudget
from mtal.acquisition.selectors.minimum_gap import MinimumGap
from mtal.acquisition.selectors.random import Random
from mtal.acquisition.signals.base import SHARED, JointSignal, PoolSignal, Signal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.silence import warn_constant, warn_missing, warn_unlabelled
from mtal.acquisition.weights.base import HeadWeights
from mtal.acquisition.weights.equal import Equal
from mtal.tasks.posterior import HeadOutput

if TYPE_CHECKING:
    from mtal.acquisition.costs import AnnotationCost

Level = Literal["heads", "columns"]
Gradient = Literal["last_layer", "shared"]
ClassWeights = Literal["equal", "inverse_frequency", "headroom"]


class Acquisition:
    """Signals of every head, normalised, fused into one utility per frame, and selected from.

    Score batch by batch with :meth:`score`, the whole pool with :meth:`score_views`, join the columns into a
    :class:`ScoreTable`, turn it into :meth:`utility`, and :meth:`select`. What nobody needs may be left out, see
    :attr:`batch_needs`, :attr:`pool_needs` and :attr:`selector_needs`.

    Args:
        signals: name of the column to the signal; a signal of one head is asked of every head.
        normalizer: makes the columns comparable.
        fusion: makes one utility of the heads' scores.
        selector: picks the batch.
        signal_fusion: makes one score of a head's signals; their weighted mean by default.
        level: ``"heads"`` fuses the signals of each head first, then the heads; ``"columns"`` all columns at once.
        weights: how much say each head gets in a round, from what the labelled frames tell; the same by default.
        head_weights: task to a fixed weight, multiplied with the adaptive one; 1 where not given.
        signal_weights: signal to weight within each head; 1 where not given.
        class_weights: what aggregations weighted by class see: ``"equal"``, ``"inverse_frequency"`` of the class among
            labelled frames, or the class's ``"headroom"``.
        gradient: which gradient selectors see: of each head's last layer, or of the shared representation.
        members: Monte-Carlo dropout members, used only where something needs members.
        per_video: normalise each video by itself.
        frozen_statistics: normalise by the statistics of the first scored round.
        calibrate: fit a temperature to each head, out of fold, before scoring.
        minimum_gap_s: seconds between picks of one video, and between them and labelled frames; 0 for none.
        max_per_video: most picks of one video in a batch; ``None`` for any number.
        max_per_patient: most picks of one patient in a batch; ``None`` for any number.
        cost: annotator seconds that a frame takes; needed for a budget in seconds.
        cold_start: picks the initial set, before there is a model; at random by default.
        nan_policy: ``"raise"``, ``"drop_frame"`` or ``"neutral"``, see :meth:`ScoreTable.resolve`.
        sites: where configurations keep the aggregation that their signals share; not read here.
        labels: as ``sites``.

    Raises:
        ValueError: an option is out of its range, or a weight names an unknown signal.

    >>> from mtal.acquisition import Entropy, PercentileRank, TopK, tie_break
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
        signals: Mapping[str, Signal | JointSignal | PoolSignal],
        normalizer: Normalizer,
        fusion: Fusion,
        selector: Selector,
        *,
        signal_fusion: Fusion | None = None,
        level: Level = "heads",
        weights: HeadWeights | None = None,
        head_weights: Mapping[str, float] | None = None,
        signal_weights: Mapping[str, float] | None = None,
        class_weights: ClassWeights = "equal",
        gradient: Gradient = "last_layer",
        members: int = 20,
        per_video: bool = False,
        frozen_statistics: bool = False,
        calibrate: bool = False,
        minimum_gap_s: float = 0.0,
        max_per_video: int | None = None,
        max_per_patient: int | None = None,
        cost: AnnotationCost | None = None,
        cold_start: Selector | None = None,
        nan_policy: NanPolicy = "raise",
        sites: Any = None,
        labels: Any = None,
    ) -> None:
        self.signals = dict(signals)
        self.normalizer = normalizer
        self.fusion = fusion
        self.selector = selector
        self.signal_fusion = WeightedMean() if signal_fusion is None else signal_fusion
        self.level = level
        self.weights = Equal() if weights is None else weights
        self.head_weights = _checked(head_weights, "head_weights")
        self.signal_weights = _checked(signal_weights, "signal_weights")
        self.class_weights = class_weights
        self.gradient = gradient
        self.members = members
        self.per_video = per_video
        self.frozen_statistics = frozen_statistics
        self.calibrate = calibrate
        self.minimum_gap_s = float(minimum_gap_s)
        self.max_per_video = max_per_video
        self.max_per_patient = max_per_patient
        self.cost = cost
        self.cold_start = Random() if cold_start is None else cold_start
        self.nan_policy = nan_policy
        self._check()

    @property
    def selector_needs(self) -> frozenset[str]:
        """What the selector needs of the candidates, see :class:`Selector`."""
        return self.selector.needs

    @property
    def batch_needs(self) -> frozenset[str]:
        """What the model has to give of each batch: ``features``, ``members``, ``shared_gradient``, ``predicted_loss``.

        Batches need members only where a signal of a single batch reads them; see :attr:`pool_needs` for the others.
        """
        needs = {n for s in self.signals.values() if not isinstance(s, PoolSignal) for n in s.needs} - {"grid"}
        if "gradient" in self.selector_needs:
            needs.add("features" if self.gradient == "last_layer" else "shared_gradient")
        if "fisher" in self.selector_needs:
            needs.add("features")
        if "gradient_length" in self.weights.needs:
            needs.add("shared_gradient")
        return frozenset(needs)

    @property
    def pool_needs(self) -> frozenset[str]:
        """What has to be kept of the whole pool for signals, see :class:`PoolSignal`."""
        return frozenset(n for s in self.signals.values() if isinstance(s, PoolSignal) for n in s.needs)

    @property
    def reads_the_pool(self) -> bool:
        """Whether a pass of the model over the pool is of any use: not for chance or for spreading picks in time."""
        return bool(self.selector_needs - {"moments"})

    def score(
        self, outputs: Mapping[str, HeadOutput], members: Mapping[str, HeadOutput] | None = None
    ) -> dict[Column, Tensor]:
        """Every signal of one batch of n frames: (task, signal) to ``[n]`` float64 on the CPU.

        Args:
            outputs: task to head output, all of the same frames.
            members: the same with a leading K, for the signals that need members; ``outputs`` where ``None``.
        """
        columns: dict[Column, Tensor] = {}
        with torch.no_grad():
            for task in outputs:
                for name, signal in self.signals.items():
                    if isinstance(signal, Signal):
                        columns[task, name] = signal(_asked(signal, outputs, members)[task])
            for name, signal in self.signals.items():
                if isinstance(signal, JointSignal):
                    columns[SHARED, name] = signal(_asked(signal, outputs, members))
        return {column: values.double().cpu() for column, values in columns.items()}

    def score_views(self, views: Mapping[str, PoolView]) -> dict[Column, Tensor]:
        """Every signal of the whole pool: (task, signal) to ``[N]`` float64 on the CPU.

        Args:
            views: task to the pool as its head sees it; signals of no single head read the first one.
        """
        columns: dict[Column, Tensor] = {}
        with torch.no_grad():
            for name, signal in self.signals.items():
                if not isinstance(signal, PoolSignal):
                    continue
                if signal.per_head:
                    columns |= {(task, name): signal(view) for task, view in views.items()}
                else:
                    columns[SHARED, name] = signal(next(iter(views.values())))
        return {column: values.double().cpu() for column, values in columns.items()}

    def utility(
        self,
        table: ScoreTable,
        inactive_tasks: Collection[str] = (),
        *,
        weights: Mapping[str, float] | None = None,
        videos: npt.NDArray[np.int64] | None = None,
        reference: ScoreTable | None = None,
        reference_videos: npt.NDArray[np.int64] | None = None,
    ) -> Tensor:
        """Normalise the columns, fuse them: ``[N]`` float64.

        Frames dropped by ``nan_policy="drop_frame"`` get NaN and are left out by :meth:`select`. A constant column is
        inactive: its weight is shared among the head's other columns, and the weight of a head without an active
        column among the other heads. With no active head all utilities are 0.

        Args:
            table: scores of the whole pool.
            inactive_tasks: heads that have no label so far; they have no say.
            weights: task to this round's adaptive weight; 1 where not given.
            videos: ``[N]`` code of each frame's video; needed with ``per_video``.
            reference: scores of an earlier round that the statistics are taken from; ``None`` for ``table``.
            reference_videos: codes of the frames of ``reference``.

        Raises:
            ValueError: NaN scores under ``nan_policy="raise"``, a head is named that the table does not have, or
                ``per_video`` and no videos.

        Warns:
            UserWarning: scores are missing, a column is constant, or a head has no label so far.
        """
        _refuse_unknown(self.head_weights, table.tasks, "head_weights")
        if set(table.tasks) != {SHARED}:  # a table of signals of all heads together names no head
            _refuse_unknown(dict.fromkeys(inactive_tasks, 0.0), table.tasks, "inactive_tasks")
        if self.per_video and videos is None:
            raise ValueError("per_video normalises each video by itself: give the frames' videos, or set it to false")
        warn_unlabelled(inactive_tasks)
        kept_table, kept = table.resolve(self.nan_policy)
        warn_missing(table, self.nan_policy)
        utility = torch.full((len(table),), torch.nan, dtype=torch.float64)  # [N]
        if len(kept_table) == 0:
            return utility
        active = active_columns(kept_table.values)  # [T]
        if len(kept_table) > 1:
            warn_constant(kept_table, active, inactive_tasks)
        groups = torch.as_tensor(videos)[kept] if self.per_video else None
        normalised = self._normalised(kept_table, groups, reference, reference_videos)  # [N, T]
        say = {
            task: self.head_weights.get(task, 1.0) * (weights or {}).get(task, 1.0) * (task not in inactive_tasks)
            for task in table.tasks
        }
        own = torch.tensor([self.signal_weights.get(name, 1.0) for _, name in table.columns]).double() * active  # [T]
        if self.level == "columns":
            utility[kept] = fuse_columns(table.columns, normalised, own, say, self.fusion)
        else:
            utility[kept] = fuse_heads(
                table.columns, normalised, own, say, self.signal_fusion, self.fusion, self.normalizer
            )
        return utility

    def joint_gradient(
        self,
        blocks: Mapping[str, GradientBlock],
        inactive_tasks: Collection[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> JointGradientEmbedding:
        """Gradient blocks of the heads side by side, weighted by ``head_weights`` and this round's ``weights``.

        Args:
            blocks: task to the gradients of the whole pool.
            inactive_tasks: heads that have no label so far; they have no say.
            weights: task to this round's adaptive weight; 1 where not given.
        """
        _refuse_unknown({k: v for k, v in self.head_weights.items() if k != SHARED}, blocks, "head_weights")
        _refuse_unknown(dict.fromkeys(inactive_tasks, 0.0), blocks, "inactive_tasks")
        warn_unlabelled(inactive_tasks)
        say = {task: self.head_weights.get(task, 1.0) * (weights or {}).get(task, 1.0) for task in blocks}
        return JointGradientEmbedding(blocks, {**say, **dict.fromkeys(inactive_tasks, 0.0)})

    def select(
        self,
        candidates: Candidates,
        budget: int,
        generator: np.random.Generator,
        labelled_moments: Moments | None = None,
        patients: npt.NDArray[np.int64] | None = None,
        cost_s: npt.NDArray[np.float64] | None = None,
        budget_s: float | None = None,
        *,
        cold: bool = False,
    ) -> Tensor:
        """Positions of the picks in order of choice, ``[budget]`` int64, fewer only when no more are left.

        Args:
            candidates: the pool, with what :attr:`selector_needs` names. A frame of NaN utility is not picked.
            budget: how many frames to pick, 1 or more.
            generator: the only source of randomness.
            labelled_moments: video and time of the labelled frames.
            patients: ``[N]`` code of each candidate's patient; needed for a cap per patient.
            cost_s: ``[N]`` annotator seconds of each candidate; needed for a budget in seconds.
            budget_s: annotator seconds to spend at most; ``None`` for no such limit.
            cold: pick the initial set by :attr:`cold_start`.

        Raises:
            ValueError: the budget is below 1, or something needed is missing.
        """
        excluded = None if candidates.utility is None else candidates.utility.isnan().cpu().numpy()  # [N]
        rules = self._rules(candidates.moments, labelled_moments, patients)
        if budget_s is not None:
            if cost_s is None:
                raise ValueError(f"a budget of {budget_s:g} seconds needs the cost of each frame: set acquisition.cost")
            rules.append(CostBudget(budget_s, cost_s))
        selector = self.cold_start if cold else self.selector
        return selector(candidates, budget, generator, Constraint(len(candidates), excluded, rules))

    def _rules(
        self, moments: Moments | None, labelled_moments: Moments | None, patients: npt.NDArray[np.int64] | None
    ) -> list[Rule]:
        rules: list[Rule] = []
        if self.minimum_gap_s > 0:
            if moments is None:
                raise ValueError(
                    f"minimum_gap_s is {self.minimum_gap_s:g}: give the moments of the candidates, or set it to 0"
                )
            rules.append(MinimumGap(self.minimum_gap_s, moments, labelled_moments))
        if self.max_per_video is not None:
            if moments is None:
                raise ValueError("max_per_video: give the moments of the candidates, or set it to null")
            rules.append(Cap(self.max_per_video, moments.video, name="video"))
        if self.max_per_patient is not None:
            if patients is None:
                raise ValueError("max_per_patient: give the patients of the candidates, or set it to null")
            rules.append(Cap(self.max_per_patient, patients, name="patient"))
        return rules

    def _normalised(
        self,
        table: ScoreTable,
        groups: Tensor | None,
        reference: ScoreTable | None,
        reference_videos: npt.NDArray[np.int64] | None,
    ) -> Tensor:
        """Every column made comparable, ``[N, T]``."""
        ranges = torch.tensor([self.signals[name].range for _, name in table.columns], dtype=torch.float64)  # [T, 2]
        if reference is None:
            return self.normalizer(table.values, groups=groups, ranges=ranges)
        if reference.columns != table.columns:
            raise ValueError(f"the reference has the columns {reference.columns}, the scores {table.columns}")
        known = ~reference.values.isnan().any(dim=1)  # [R]
        return self.normalizer(
            table.values,
            reference=reference.values[known],
            groups=groups,
            reference_groups=None
            if groups is None or reference_videos is None
            else torch.as_tensor(reference_videos)[known],
            ranges=ranges,
        )

    def _check(self) -> None:
        _refuse_unknown(self.signal_weights, self.signals, "signal_weights")
        for name, value, choices in (
            ("nan_policy", self.nan_policy, NAN_POLICIES),
            ("level", self.level, get_args(Level)),
            ("gradient", self.gradient, get_args(Gradient)),
            ("class_weights", self.class_weights, get_args(ClassWeights)),
        ):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choices are {', '.join(choices)}")
        if not 0 <= self.minimum_gap_s < float("inf"):
            raise ValueError(f"minimum_gap_s must be 0 seconds or more, not {self.minimum_gap_s}")
        for name, limit in (("max_per_video", self.max_per_video), ("max_per_patient", self.max_per_patient)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be 1 frame or more, or null for any number, not {limit}")
        if self.members < 2:
            raise ValueError(f"members must be 2 or more, not {self.members}")


def _asked(
    signal: Signal | JointSignal, outputs: Mapping[str, HeadOutput], members: Mapping[str, HeadOutput] | None
) -> Mapping[str, HeadOutput]:
    return outputs if members is None or "members" not in signal.needs else members


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
