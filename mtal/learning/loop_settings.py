"""How many frames a run picks, how often, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtal.learning.run_folder import RunFolder
from mtal.learning.stop import StopRule
from mtal.learning.trainer_settings import TrainerSettings
from mtal.numbers import is_whole
from mtal.refusals import refuse


@dataclass(frozen=True)
class LoopSettings:
    """How many frames, how often.

    Args:
        initial: frames in the initial set, picked by ``acquisition.cold_start``, or ``"all"`` for the whole pool (an
            upper reference).
        batch: frames picked per round.
        rounds: rounds after the initial set.
        batch_seconds: annotator seconds to spend per round instead of a number of frames; needs ``acquisition.cost``.
            The initial set stays a number of frames: no model is there yet to tell what a frame costs.
        batch_answers: answers to ask for per round instead of a number of frames: each frame costs as many as it has
            heads that can be asked for. The initial set stays a number of frames here as well.
        folds: of the cross-validation on labelled frames that adaptive weights and calibration ask for.
        fold_steps: optimiser steps per fold; ``None`` for as many as a round trains, or the last one did where ``val``
            decides.
        stop: when to end before the last round.
        fold: which of ``test_folds`` parts of the patients is tested on, from 0; all others are the pool, whatever the
            data's splits. ``None`` keeps those.
        test_folds: how many parts, see :func:`~mtal.datasets.patient_folds.assign_patients`.
        test_frames: how many of the held-out frames to test on, drawn at random; all where ``None``.
        keep_tables_gib: what scores and features of the pool of all rounds may take on disk together, see
            :func:`~mtal.learning.kept_tables.let_go_of_tables`; ``None`` keeps all.

    Raises:
        ValueError: a number is out of range.
    """

    initial: int | str = 24
    batch: int = 24
    rounds: int = 5
    batch_seconds: float | None = None
    batch_answers: int | None = None
    folds: int = 3
    fold_steps: int | None = None
    stop: StopRule = field(default_factory=StopRule)
    fold: int | None = None
    test_folds: int = 5
    test_frames: int | None = None
    keep_tables_gib: float | None = 20.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> LoopSettings:
        """The settings that the section ``loop`` of a configuration gives."""
        return cls(**{**config, "stop": StopRule(**config.get("stop", {}))})

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not (self.initial == "all" or (is_whole(self.initial) and self.initial >= 1)):
            yield f"loop.initial must be a number of frames or 'all', not {self.initial!r}"
        if self.batch < 1 or self.rounds < 0:
            yield f"loop.batch must be ≥ 1 and loop.rounds ≥ 0, not {self.batch} and {self.rounds}"
        if self.batch_seconds is not None and not 0 < self.batch_seconds < math.inf:
            yield f"loop.batch_seconds must be above 0, or null to count frames, not {self.batch_seconds}"
        if self.batch_answers is not None and self.batch_answers < 1:
            yield f"loop.batch_answers must be 1 or more, or null to count frames, not {self.batch_answers}"
        if self.test_frames is not None and self.test_frames < 1:
            yield f"loop.test_frames must be 1 or more, or null for all, not {self.test_frames}"
        if self.keep_tables_gib is not None and not 0 <= self.keep_tables_gib < math.inf:
            yield f"loop.keep_tables_gib must be 0 or more, or null to keep all, not {self.keep_tables_gib}"
        if self.test_folds < 2 or not (self.fold is None or 0 <= self.fold < self.test_folds):
            yield (
                "loop.test_folds must be ≥ 2 and loop.fold from 0 to one less, or null, not "
                f"{self.test_folds} and {self.fold}"
            )
        if self.folds < 2 or (self.fold_steps is not None and self.fold_steps < 1):
            yield f"loop.folds must be ≥ 2 and loop.fold_steps ≥ 1 or null, not {self.folds} and {self.fold_steps}"

    def steps_per_fold(self, folder: RunFolder, trainer: TrainerSettings) -> int | None:
        """``fold_steps``, or as many as led to the last round's weights where ``val`` decided on them."""
        if self.fold_steps is not None or trainer.until != "plateau":
            return self.fold_steps
        return int(folder.metrics(folder.complete_rounds() - 1)["training"]["kept_step"])

    @property
    def counts_frames(self) -> bool:
        """Whether a round ends with ``batch`` frames rather than with seconds or answers that are spent."""
        return self.batch_seconds is None and self.batch_answers is None

    def first(self, pool: int, askable: int | None = None) -> int:
        """Size of the initial set, after checking the whole budget against the pool.

        Args:
            pool: frames in it.
            askable: how many of them can be labelled; all where ``None``.

        Raises:
            ValueError: the budget is larger than what can be labelled.
        """
        there = f"the pool has {pool}" if askable in (None, pool) else f"{askable} of the pool's {pool} can be labelled"
        pool = pool if askable is None else askable
        initial = pool if self.initial == "all" else int(self.initial)
        if not self.counts_frames:
            return min(initial, pool)
        budget = initial + self.rounds * self.batch
        if budget > pool:
            raise ValueError(
                f"the budget is larger than the pool: loop.initial + loop.rounds x loop.batch = {initial} + "
                f"{self.rounds} x {self.batch} = {budget} frames, but {there}; lower one of the three or "
                "sample the videos more densely"
            )
        return initial
