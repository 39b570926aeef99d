"""The whole way from head outputs to picks: measure, blend, select within limits."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.blend import Blend, Comparable
from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.limits import Limits
from mtal.acquisition.measurement import Measurement
from mtal.acquisition.moments import Moments
from mtal.acquisition.normalizers.base import Normalizer
from mtal.acquisition.options import refuse_unknown
from mtal.acquisition.say import Say
from mtal.acquisition.score_table import Column, ScoreTable
from mtal.acquisition.selection import Selection
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.signals.base import SHARED, JointSignal, PoolSignal, Signal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.refusals import Refusals
from mtal.suggest import nearest
from mtal.tasks.posterior import HeadOutput

_PARTS = (Measurement, Say, Blend, Selection, Limits)
_OF_SIGNALS = ("sites", "labels")  # where configurations keep the aggregations that their signals share; not read here


class Acquisition:
    """Signals of every head, normalised, fused into one utility per frame, and selected from.

    Score batch by batch with :meth:`score`, the whole pool with :meth:`score_views`, join the columns into a
    :class:`ScoreTable`, turn it into :meth:`utility`, and :meth:`select`. What nobody needs may be left out, see
    :attr:`batch_needs`, :attr:`pool_needs` and :attr:`selector_needs`. Each part also works by itself.

    Args:
        signals: name of the column to the signal; a signal of one head is asked of every head.
        normalizer: makes the columns comparable.
        fusion: makes one utility of the heads' scores.
        selector: picks the batch.
        options: all others of the five parts, by their names there: ``minimum_gap_s`` of :class:`Limits`, say.

    Attributes:
        measurement: what is measured of the frames.
        say: how much say each head has.
        blend: how measurements become one utility.
        selection: who picks.
        limits: what constrains the picks.

    Raises:
        TypeError: no part has an option of that name.
        ValueError: an option is out of its range, or a weight names an unknown signal.

    >>> from mtal.acquisition import Entropy, PercentileRank, TopK, WeightedMean, tie_break
    >>> acquisition = Acquisition({"entropy": Entropy()}, PercentileRank(), WeightedMean(), TopK(), max_per_video=3)
    >>> tools = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.1]], [[0.5, 0.2]], [[0.5, 0.6]]]))
    >>> bleeding = HeadOutput("bernoulli", torch.tensor([[[0.0]], [[0.1]], [[0.3]]]))
    >>> table = ScoreTable.from_scores(acquisition.score({"tools": tools, "bleeding": bleeding}))
    >>> utility = acquisition.utility(table)
    >>> utility.tolist()
    [0.0, 0.5, 1.0]
    >>> moments = Moments(np.zeros(3), np.arange(3.0))
    >>> candidates = Candidates(tie_break(0, ["a/000000", "a/000025", "a/000050"]), utility=utility, moments=moments)
    >>> acquisition.select(candidates, 2, np.random.default_rng(0)).tolist()
    [2, 1]
    """

    def __init__(
        self,
        signals: Mapping[str, Signal | JointSignal | PoolSignal],
        normalizer: Normalizer,
        fusion: Fusion,
        selector: Selector,
        **options: Any,
    ) -> None:
        given = dict(options, signals=signals, normalizer=normalizer, fusion=fusion, selector=selector)
        _refuse_misspelt(given)
        self.measurement, self.say, self.blend, self.selection, self.limits = _parts(given)
        refuse_unknown(self.blend.signal_weights, self.measurement.signals, "signal_weights")

    @property
    def selector_needs(self) -> frozenset[str]:
        """What the selector needs of the candidates, see :class:`Selector`."""
        return self.selection.selector.needs

    @property
    def batch_needs(self) -> frozenset[str]:
        """What the model has to give of each batch: ``features``, ``members``, ``shared_gradient``, ``predicted_loss``.

        Batches need members only where a signal of a single batch reads them; see :attr:`pool_needs` for the others.
        """
        needs = set(self.measurement.batch_needs)
        if "gradient" in self.selector_needs:
            needs.add("features" if self.measurement.gradient == "last_layer" else "shared_gradient")
        if "fisher" in self.selector_needs:
            needs.add("features")
        if "gradient_length" in self.say.weights.needs:
            needs.add("shared_gradient")
        return frozenset(needs)

    @property
    def pool_needs(self) -> frozenset[str]:
        """What has to be kept of the whole pool for signals, see :class:`PoolSignal`."""
        return self.measurement.pool_needs

    @property
    def reads_the_pool(self) -> bool:
        """Whether a pass of the model over the pool is of any use: not for chance or for spreading picks in time."""
        return self.selection.reads_the_pool

    def score(
        self, outputs: Mapping[str, HeadOutput], members: Mapping[str, HeadOutput] | None = None
    ) -> dict[Column, Tensor]:
        """Every signal of one batch of n frames, see :class:`Measurement`."""
        return self.measurement(outputs, members)

    def score_views(self, views: Mapping[str, PoolView]) -> dict[Column, Tensor]:
        """Every signal of the whole pool, see :meth:`Measurement.of_pool`."""
        return self.measurement.of_pool(views)

    def comparable(self, table: ScoreTable, reference: ScoreTable | None = None) -> Comparable:
        """The columns made comparable: what utility, :meth:`query` and :meth:`went_by` of a round are read from.

        Args:
            table: as for :meth:`Blend.comparable`.
            reference: as there.

        Raises:
            ValueError: as there.

        Warns:
            UserWarning: scores are missing.
        """
        return self.blend.comparable(table, ranges=self.measurement.ranges, reference=reference)

    def utility(
        self,
        table: ScoreTable,
        inactive_tasks: Collection[str] = (),
        *,
        weights: Mapping[str, float] | None = None,
        reference: ScoreTable | None = None,
    ) -> Tensor:
        """Normalise the columns, fuse them: ``[N]`` float64, see :meth:`comparable` and :meth:`Comparable.utility`.

        Args:
            table: as for :meth:`comparable`.
            inactive_tasks: heads that have no label so far; they have no say.
            weights: task to this round's adaptive weight; 1 where not given.
            reference: as for :meth:`comparable`.

        Raises:
            ValueError: NaN scores under ``nan_policy="raise"``, a head is named that the table does not have, or
                ``per_video`` and no videos.

        Warns:
            UserWarning: scores are missing, a column is constant, or a head has no label so far.
        """
        say = self.say(table.tasks, weights, inactive_tasks)
        return self.comparable(table, reference).utility(say)

    def query(
        self,
        scores: Comparable,
        seconds: npt.NDArray[np.float64],
        askable: npt.NDArray[np.bool_],
        tasks: Sequence[str],
        inactive_tasks: Collection[str] = (),
        *,
        weights: Mapping[str, float] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Which heads each of the frames would be asked for if it is picked, ``[N, T]``.

        Args:
            scores: of the whole pool, from :meth:`comparable`.
            seconds: that each answer takes, ``[N, T]``.
            askable: which heads can be asked for, ``[N, T]``.
            tasks: the T heads.
            inactive_tasks: as for :meth:`utility`.
            weights: as for :meth:`utility`.
        """
        gains = scores.gains(self.say.of(tasks, weights, inactive_tasks))
        look_s = 0.0 if self.limits.cost is None else self.limits.cost.look_s
        return self.limits.query(gains.numpy(), seconds, askable, look_s)

    def rehearse(self, outputs: Mapping[str, HeadOutput]) -> None:
        """Blend and select two made-up frames, so that what does not fit is refused before there are real ones.

        Args:
            outputs: task to the posterior of two frames.

        Raises:
            ValueError: normaliser, fusion, selector and signals do not fit, or a head is named that is not there.
        """
        columns = self.measurement.columns(list(outputs))
        made_up = torch.tensor([[0.25], [0.75]], dtype=torch.float64).expand(-1, len(columns))  # [2, T]
        moments = Moments(np.zeros(2, dtype=np.int64), np.zeros(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            utility = self.utility(ScoreTable(tuple(columns), made_up, moments.video))
            candidates = Candidates(np.arange(2, dtype=np.uint64), utility, posterior=outputs, moments=moments)
            if self.selector_needs <= {"utility", "posterior", "moments"}:
                self.selection(candidates, 1, np.random.default_rng(0))

    def joint_gradient(
        self,
        blocks: Mapping[str, GradientBlock],
        inactive_tasks: Collection[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> JointGradientEmbedding:
        """Gradient blocks of the heads side by side, weighted by their say.

        Args:
            blocks: task to the gradients of the whole pool.
            inactive_tasks: heads that have no label so far; they have no say.
            weights: task to this round's adaptive weight; 1 where not given.
        """
        say = self.say([*blocks, SHARED], weights, inactive_tasks)
        return JointGradientEmbedding(blocks, {task: say[task] for task in blocks})

    def went_by(
        self,
        scores: Comparable,
        blocks: Mapping[str, GradientBlock],
        inactive_tasks: Collection[str] = (),
        weights: Mapping[str, float] | None = None,
        round_number: int = 1,
    ) -> ScoreTable:
        """What the selector read of each head that has a say, ``[N, …]``; no column where it read nothing of a head.

        The scores that the utility is made of, or else lengths of gradients as (task, ``"gradient_length"``).

        Args:
            scores: of the whole pool, from :meth:`comparable`.
            blocks: task to the gradients of the whole pool.
            inactive_tasks: heads that have no label so far.
            weights: task to this round's adaptive weight; 1 where not given.
            round_number: of the running round, from 1.
        """
        reads, table = self.selection.selector.reads(round_number), scores.table
        if "utility" in reads:
            say = self.say.of(table.tasks, weights, inactive_tasks)
            return table.only(scores.heard(say))
        read = blocks if "gradient" in reads else {}
        say = self.say.of(read, weights, inactive_tasks)
        lengths = {task: block.sq_norm.sqrt() for task, block in read.items() if say[task] > 0}
        return table.only(()).with_columns({(task, "gradient_length"): length for task, length in lengths.items()})

    def select(
        self,
        candidates: Candidates,
        budget: int,
        generator: np.random.Generator,
        *,
        budget_s: float | None = None,
        budget_answers: int | None = None,
        cold: bool = False,
        why: dict[int, str] | None = None,
    ) -> Tensor:
        """Positions of the picks in order of choice, ``[budget]`` int64, fewer only when no more are left.

        Args:
            candidates: the pool, with what :attr:`selector_needs` names and :class:`Limits` need. A frame of NaN
                utility is not picked.
            budget: how many frames to pick, 1 or more.
            generator: the only source of randomness.
            budget_s: as for :class:`Limits`.
            budget_answers: as for :class:`Limits`.
            cold: pick the initial set.
            why: as for :class:`Selector`.

        Raises:
            ValueError: the budget is below 1, or something needed is missing.
        """
        rules = partial(self.limits, budget_s=budget_s, budget_answers=budget_answers)
        return self.selection(candidates, budget, generator, rules, cold=cold, why=why)


def _parts(given: Mapping[str, Any]) -> tuple[Measurement, Say, Blend, Selection, Limits]:
    """Each part made of those of the options that are its own."""
    refusals, parts = Refusals(), []
    for kind in _PARTS:
        with refusals:
            parts.append(kind(**{f.name: given[f.name] for f in fields(kind) if f.name in given}))
    refusals.tell(what="wrong options")
    return tuple(parts)  # type: ignore[return-value]  # of what they are made of


def _refuse_misspelt(given: Mapping[str, Any]) -> None:
    known = [*(f.name for part in _PARTS for f in fields(part)), *_OF_SIGNALS]
    for name in given:
        if name not in known:
            raise TypeError(f"an acquisition has no option {name!r}{nearest(name, known)}")
