"""What the model of the round before says of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition import Acquisition, PoolView, ScoreTable
from mtal.learning.askable_pool import AskablePool, Rows
from mtal.learning.frame_rows import FrameRows
from mtal.learning.pool_views import pool_views
from mtal.learning.previous_posteriors import read_previous
from mtal.learning.round import Round
from mtal.learning.seeds import integer_seed
from mtal.learning.standing import Standing
from mtal.models import MultiTaskModel
from mtal.models.annotatability import Annotatability
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import Inputs
from mtal.scoring.look import LabelledView, look_at, look_at_labelled, shared_features
from mtal.scoring.pool import score_pool
from mtal.scoring.pool_scores import PoolScores
from mtal.scoring.segments import Videos
from mtal.scoring.site_weights import AskedSites, LabelledSites, read_annotatable
from mtal.tasks.task import Task


@dataclass(frozen=True)
class Seen:
    """The N candidates as a model sees them.

    Attributes:
        pool: what a pass over them left behind.
        labelled: the labelled frames; ``None`` where nothing compares candidates with them.
        known: where the heads stand, with what only the pass can tell.
        weights: task to its adaptive weight.
        table: all scores of the candidates, with their videos.
        reference: scores of an earlier round, with theirs where they are of the same index; ``None`` for none.
    """

    pool: PoolScores
    labelled: LabelledView | None
    known: Standing
    weights: Mapping[str, float]
    table: ScoreTable
    reference: ScoreTable | None


class Looking:
    """Looks of models at the candidates of a round.

    Args:
        frames: of the whole index.
        pool: what can be asked for.
        inputs: what the model is fed, rows as in the frame index.
        tasks: the heads.
        acquisition: says what is needed.
        device: where the model runs.
        seed: of the whole run.
        engine: who scores the pool; this process where ``None``.
    """

    def __init__(
        self,
        frames: FrameRows,
        pool: AskablePool,
        inputs: Inputs,
        tasks: Sequence[Task],
        acquisition: Acquisition,
        device: torch.device,
        seed: int,
        engine: Engine | None = None,
    ) -> None:
        self._frames, self._pool = frames, pool
        self._inputs, self._tasks, self._acquisition = inputs, tasks, acquisition
        self._device, self._seed, self._engine = device, seed, engine

    def look(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Seen:
        """Score the candidates, and look at the labelled frames where anything compares the two."""
        pool = self._score(model, asked, rows)
        labelled = self._labelled(model, asked)
        known = asked.known.with_gradient_length(pool.gradient_length)
        weights = self._acquisition.say.weights(known.evidence)
        views = self._views(asked, rows, pool, labelled, weights)
        table = pool.table.with_columns(self._acquisition.score_views(views))
        table = replace(table, videos=self._frames.videos(rows))
        return Seen(pool, labelled, known, weights, table, self._reference(asked))

    def costs(self, model: MultiTaskModel, asked: Round, rows: Rows) -> npt.NDArray[np.float64]:
        """Annotator seconds of the candidates, ``[N]``, and nothing else."""
        cost = self._acquisition.limits.cost
        assert cost is not None
        sites = AskedSites({}, self._pool.by_head(rows, asked.availability), self._frames.windows(rows))
        looks = look_at(
            model, self._tasks, self._inputs, rows, self._device, site_weights=sites, doing="Estimating the cost"
        )
        return torch.cat([cost(look.heads) for look in looks]).numpy()

    def features(self, model: MultiTaskModel, rows: Rows) -> npt.NDArray[np.float32]:
        """Pooled output of the encoder, ``[N, D]``."""
        return shared_features(model, self._inputs, rows, self._device)

    def _score(self, model: MultiTaskModel, asked: Round, rows: Rows) -> PoolScores:
        """What a pass of the model over the candidates leaves behind."""
        askable = self._pool.by_head(rows, asked.availability)
        return score_pool(
            model,
            self._tasks,
            self._inputs,
            rows,
            self._acquisition,
            self._device,
            class_weights=asked.known.class_weights,
            temperatures=asked.known.temperatures,
            silent=asked.known.silent,
            site_weights=AskedSites(self._annotatable(asked), askable, self._frames.windows(rows)),
            seed=integer_seed(self._seed, asked.number, "members"),
            videos=Videos(self._frames.videos(rows), self._frames.video_names),
            engine=self._engine,
            folder=asked.shards,
        )

    def _annotatable(self, asked: Round) -> dict[str, Annotatability]:
        """What the round before learnt of where annotators label."""
        if self._acquisition.measurement.site_weights == "equal":
            return {}
        return read_annotatable(asked.folder.round_path(asked.number - 1))

    def _labelled(self, model: MultiTaskModel, asked: Round) -> LabelledView | None:
        """What the model says of the labelled frames, where anything compares candidates with them."""
        of_pool = self._acquisition.pool_needs & {"labelled_features", "labelled_posterior"}
        if not of_pool and not self._acquisition.selector_needs & {"features", "fisher"}:
            return None
        return look_at_labelled(
            model,
            self._tasks,
            self._inputs,
            self._frames.of(asked.labelled),
            self._acquisition,
            self._device,
            temperatures=asked.known.temperatures,
            site_weights=None if asked.labels is None else LabelledSites(asked.labels),
        )

    def _views(
        self,
        asked: Round,
        rows: Rows,
        pool: PoolScores,
        labelled: LabelledView | None,
        weights: Mapping[str, float],
    ) -> dict[str, PoolView]:
        """The pool as each head sees it, where a signal asks."""
        needs = self._acquisition.pool_needs
        if not needs:
            return {}
        return pool_views(
            self._tasks,
            needs,
            pool,
            labelled,
            say=self._acquisition.say.of([t.name for t in self._tasks], weights, asked.known.silent),
            previous=read_previous(asked.folder, self._frames.index, rows) if "previous" in needs else None,
            moments=self._frames.moments(rows),
            seed=integer_seed(self._seed, asked.number, "signals") % 2**32,
        )

    def _reference(self, asked: Round) -> ScoreTable | None:
        """Scores of an earlier round that normalisers take their statistics from."""
        if asked.reference is None:
            return None
        rows = self._frames.of(asked.reference.frame_ids)
        return replace(asked.reference.table, videos=self._frames.videos(rows) if len(rows) else None)
