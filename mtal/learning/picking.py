"""Which frames a round picks: weigh the heads, look at the pool, fuse, select, and keep why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition import Acquisition, Candidates, Moments, PoolView, ScoreTable, tie_break
from mtal.acquisition.distance_words import distance_words
from mtal.acquisition.shown import Shown
from mtal.acquisition.silence import heard
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.window import Windows
from mtal.learning.askable_pool import AskablePool, Rows
from mtal.learning.hidden_labels import HiddenLabels
from mtal.learning.picks import Picks
from mtal.learning.pool_views import pool_views
from mtal.learning.presence import shown_by
from mtal.learning.previous_posteriors import read_previous, write_posteriors
from mtal.learning.round import Round
from mtal.learning.score_files import write_embeddings, write_scores
from mtal.learning.seeds import integer_seed, numpy_generator
from mtal.learning.standing import write_standing
from mtal.learning.timings import timed
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

_NAMES = 4096  # of frames, held at once


@dataclass(frozen=True)
class _Queried:
    """Which heads each candidate would be asked for, ``[N, T]``, and the annotator seconds of these, ``[N]``."""

    heads: npt.NDArray[np.bool_]
    cost_s: npt.NDArray[np.float64]


class Picker:
    """Picks of every round of one run.

    Args:
        dataset: frames and splits.
        inputs: what the model is fed, rows as in the frame index.
        tasks: the heads.
        acquisition: how frames are picked.
        device: where the model runs.
        seed: of the whole run.
        windows: what the model is shown of each frame; all of it where ``None``.
        hidden: labels that nobody has given yet, for a selector that is a bound.
        engine: who scores the pool; this process where ``None``.
    """

    def __init__(
        self,
        dataset: SurgicalDataset,
        inputs: Inputs,
        tasks: Sequence[Task],
        acquisition: Acquisition,
        device: torch.device,
        seed: int,
        windows: Windows | None = None,
        hidden: HiddenLabels | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.inputs = inputs
        self.engine = engine
        self.windows = windows
        self.tasks = list(tasks)
        self.acquisition = acquisition
        self.device = device
        self.seed = seed
        self._hidden = hidden
        self.index = dataset.index
        table = self.index.table
        self.pool = AskablePool(self.index, self.tasks)
        self._video = table["video"].cat.codes.to_numpy()
        self._patient = table["patient"].cat.codes.to_numpy()
        self._time_s = table["time_s"].to_numpy()

    def pick(self, model: MultiTaskModel, asked: Round) -> Picks:
        """The frames of a round, by what the model of the round before says of the pool.

        Scores and evidence are written to the round's path. The initial set goes by the untrained model's encoder at
        most.
        """
        rows = self.pool.candidates(asked.labelled, asked.availability)
        asked = self._with_silent(asked, rows)
        if asked.number == 0:
            return self._cold(model, asked, rows)
        if not self.acquisition.reads_the_pool:
            return self._unseen(model, asked, rows)
        with timed(asked.timings, "score"):
            seen = self._seen(model, asked, rows)
            labelled_view = self._labelled_view(model, asked)
            known = asked.known.with_gradient_length(seen.gradient_length)
            weights = self.acquisition.say.weights(known.evidence)
            views = self._views(asked, rows, seen, labelled_view, weights)
            table = seen.table.with_columns(self.acquisition.score_views(views))
        with timed(asked.timings, "fuse"):
            utility = self._utility(asked, table, rows, weights)
            gradient = None
            if seen.gradients:
                gradient = self.acquisition.joint_gradient(seen.gradients, known.silent, weights)
        with timed(asked.timings, "select"):
            queried = self._query(asked, table, rows, weights, seen)
            cost_s = seen.cost_s if queried is None else queried.cost_s
            heads = None if queried is None else queried.heads
            candidates = Candidates(
                self._hashes(asked.number, rows),
                utility=utility,
                gradient=gradient,
                features=torch.from_numpy(seen.shared),
                labelled_features=None if labelled_view is None else torch.from_numpy(labelled_view.shared),
                posterior=heard(seen.posteriors, known.silent),
                members=heard({t: h for t, h in seen.members.items() if h.probs.shape[2] == 1}, known.silent),
                fisher=heard(seen.fisher, known.silent),
                labelled_fisher=None if labelled_view is None else heard(labelled_view.fisher, known.silent),
                moments=self._moments(rows),
                labelled_moments=self._moments(self.index.positions(asked.labelled)),
                classes={t.name: t.classes for t in self.tasks},
                shown=self._shown_classes(asked, rows, seen, heads, cost_s),
                hidden=None if self._hidden is None else self._hidden(self._ids(rows)),
                round_number=asked.number,
            )
            why: dict[int, str] = {}
            at = self._select(candidates, rows, asked, cost_s, heads, why)
            selector = self.acquisition.selection.selector
            if gradient is not None and "gradient" in selector.reads(asked.number):
                why |= distance_words(gradient, at.tolist(), selector.reason(asked.number))
        with timed(asked.timings, "write"):
            write_scores(asked.path, self.index.table["frame_id"].iloc[rows], table, utility, seen.cost_s)
            write_embeddings(asked.path, seen.shared)
            say = self.acquisition.say.of([t.name for t in self.tasks], weights, known.silent)
            write_standing(asked.path, known, say, len(asked.labelled))
            if "previous" in self.acquisition.pool_needs:
                write_posteriors(asked.path, rows, seen.posteriors)
        went_by: ScoreTable | None = None
        if "shown" not in selector.reads(asked.number) or known.presence.trust > 0:  # else no score made any difference
            went_by = self.acquisition.went_by(table, seen.gradients, known.silent, weights, asked.number)
        return Picks(
            self._ids(rows[at]),
            at,
            because=selector.reason(asked.number),
            table=table,
            utility=utility.numpy(),
            went_by=went_by,
            cost_s=cost_s,
            asked=heads,
            why=why,
        )

    def _query(
        self, asked: Round, table: ScoreTable, rows: Rows, weights: Mapping[str, float], seen: PoolScores
    ) -> _Queried | None:
        """Which heads each candidate would be asked for; ``None`` for all that can be."""
        cost = self.acquisition.limits.cost
        if self.acquisition.limits.query.asks_all or cost is None or seen.cost_by_head is None:
            return None
        tasks = [t.name for t in self.tasks]
        can = self.pool.by_head(rows, asked.availability)
        askable = np.stack([can.get(t, np.ones(len(rows), dtype=bool)) for t in tasks], axis=1)  # [N, T]
        askable &= np.array([t.weight > 0 for t in self.tasks])
        heads = self.acquisition.query(
            table,
            seen.cost_by_head,
            askable,
            tasks,
            asked.known.silent,
            weights=weights,
            **self._compared(asked, rows),
        )
        heads |= askable & np.isin(tasks, asked.known.silent)  # one without a label so far has no say, and needs one
        return _Queried(heads, cost.look_s * heads.any(axis=1) + (seen.cost_by_head * heads).sum(axis=1))

    def _cold(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Picks:
        with timed(asked.timings, "select"):
            features = None
            if "features" in self.acquisition.selection.cold_start.needs:
                features = torch.from_numpy(shared_features(model, self.inputs, rows, self.device))
            candidates = Candidates(self._hashes(0, rows), features=features, moments=self._moments(rows))
            at = self._select(candidates, rows, asked)
        return Picks(self._ids(rows[at]), at, self.acquisition.selection.cold_start.reason(asked.number))

    def _unseen(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Picks:
        """Picks of a selector that reads nothing of the model: it looks at the pool for the frames' cost at most."""
        cost_s = None
        if asked.budget_s is not None and self.acquisition.limits.cost is not None:
            with timed(asked.timings, "score"):
                doing = "Estimating the cost"
                sites = AskedSites({}, self.pool.by_head(rows, asked.availability), self._shown(rows))
                looks = look_at(model, self.tasks, self.inputs, rows, self.device, site_weights=sites, doing=doing)
                cost_s = torch.cat([self.acquisition.limits.cost(look.heads) for look in looks]).numpy()  # [N]
        with timed(asked.timings, "select"):
            bare = Candidates(
                self._hashes(asked.number, rows),
                moments=self._moments(rows),
                labelled_moments=self._moments(self.index.positions(asked.labelled)),
                round_number=asked.number,
            )
            at = self._select(bare, rows, asked, cost_s)
        return Picks(self._ids(rows[at]), at, self.acquisition.selection.selector.reason(asked.number), cost_s=cost_s)

    def _seen(self, model: MultiTaskModel, asked: Round, rows: Rows) -> PoolScores:
        """What a pass of the model over the candidates leaves behind."""
        return score_pool(
            model,
            self.tasks,
            self.inputs,
            rows,
            self.acquisition,
            self.device,
            class_weights=asked.known.class_weights,
            temperatures=asked.known.temperatures,
            silent=asked.known.silent,
            site_weights=AskedSites(
                self._annotatable(asked), self.pool.by_head(rows, asked.availability), self._shown(rows)
            ),
            seed=integer_seed(self.seed, asked.number, "members"),
            videos=Videos(self._video[rows], self.index.table["video"].cat.categories.tolist()),
            engine=self.engine,
            folder=asked.shards,
        )

    def _annotatable(self, asked: Round) -> dict[str, Annotatability]:
        """What the round before learnt of where annotators label."""
        if self.acquisition.measurement.site_weights == "equal":
            return {}
        return read_annotatable(asked.folder.round_path(asked.number - 1))

    def _with_silent(self, asked: Round, rows: Rows) -> Round:
        """The round with no say for heads that can be asked for in no candidate, nor for those that nobody trains."""
        used_up = [task for task, askable in self.pool.by_head(rows, asked.availability).items() if not askable.any()]
        untrained = [t.name for t in self.tasks if t.weight == 0]
        silent = tuple(dict.fromkeys([*asked.known.silent, *used_up, *untrained]))
        return replace(asked, known=replace(asked.known, silent=silent))

    def _labelled_view(self, model: MultiTaskModel, asked: Round) -> LabelledView | None:
        """What the model says of the labelled frames, where anything compares candidates with them."""
        of_pool = self.acquisition.pool_needs & {"labelled_features", "labelled_posterior"}
        if not of_pool and not self.acquisition.selector_needs & {"features", "fisher"}:
            return None
        rows = self.index.positions(asked.labelled)
        return look_at_labelled(
            model,
            self.tasks,
            self.inputs,
            rows,
            self.acquisition,
            self.device,
            temperatures=asked.known.temperatures,
            site_weights=None if asked.labels is None else LabelledSites(asked.labels),
        )

    def _views(
        self,
        asked: Round,
        rows: Rows,
        seen: PoolScores,
        labelled_view: LabelledView | None,
        weights: Mapping[str, float],
    ) -> dict[str, PoolView]:
        """The pool as each head sees it, where a signal asks."""
        needs = self.acquisition.pool_needs
        if not needs:
            return {}
        return pool_views(
            self.tasks,
            needs,
            seen,
            labelled_view,
            say=self.acquisition.say.of([t.name for t in self.tasks], weights, asked.known.silent),
            previous=read_previous(asked.folder, self.index, rows) if "previous" in needs else None,
            moments=self._moments(rows),
            seed=integer_seed(self.seed, asked.number, "signals") % 2**32,
        )

    def _shown_classes(
        self,
        asked: Round,
        rows: Rows,
        seen: PoolScores,
        heads: npt.NDArray[np.bool_] | None,
        cost_s: npt.NDArray[np.float64] | None,
    ) -> Shown | None:
        """What frames show to heads that they would be asked for, ``[N, T]``, and for how many seconds, ``[N]``."""
        if "shown" not in self.acquisition.selector_needs:
            return None
        askable = self.pool.by_head(rows, asked.availability)
        if heads is not None:
            askable = {t.name: column for t, column in zip(self.tasks, heads.T, strict=True)}
        return shown_by(
            self.tasks,
            asked.known.presence,
            seen.posteriors,
            seen.shared,
            self._patient[rows].astype(np.int64),
            self._patient[self.index.positions(asked.labelled)].astype(np.int64),
            askable,
            cost_s if asked.budget_s is not None else None,
        )

    def _utility(self, asked: Round, table: ScoreTable, rows: Rows, weights: Mapping[str, float]) -> Tensor:
        compared = self._compared(asked, rows)
        return self.acquisition.utility(table, asked.known.silent, weights=weights, **compared)

    def _compared(self, asked: Round, rows: Rows) -> dict[str, Any]:
        """What normalisers compare the candidates with."""
        of_reference = self.index.positions(asked.reference.frame_ids) if asked.reference else ()
        return {
            "videos": self._video[rows].astype(np.int64),
            "reference": asked.reference.table if asked.reference else None,
            "reference_videos": self._video[of_reference].astype(np.int64) if len(of_reference) else None,
        }

    def _select(
        self,
        candidates: Candidates,
        rows: Rows,
        asked: Round,
        cost_s: npt.NDArray[np.float64] | None = None,
        heads: npt.NDArray[np.bool_] | None = None,
        why: dict[int, str] | None = None,
    ) -> npt.NDArray[np.int64]:
        at: npt.NDArray[np.int64] = self.acquisition.select(
            candidates,
            asked.budget,
            numpy_generator(self.seed, asked.number, "select"),
            self._moments(self.index.positions(asked.labelled)),
            self._patient[rows].astype(np.int64),
            cost_s,
            asked.budget_s,
            self.pool.answers(rows, asked.availability) if heads is None else heads.sum(axis=1),
            asked.budget_answers,
            cold=asked.number == 0,
            why=why,
            labelled_patients=self._labelled_patients(asked),
        ).numpy()
        return at

    def _labelled_patients(self, asked: Round) -> npt.NDArray[np.int64]:
        codes = {name: code for code, name in enumerate(self.index.table["patient"].cat.categories)}
        known = [codes[name] for name in asked.labelled_elsewhere if name in codes]  # of the others is no candidate
        return np.append(self._patient[self.index.positions(asked.labelled)], known).astype(np.int64)

    def _hashes(self, number: int, rows: Rows) -> npt.NDArray[np.uint64]:
        some = (self._ids(rows[start : start + _NAMES]) for start in range(0, len(rows), _NAMES))
        return tie_break(integer_seed(self.seed, number, "ties"), chain.from_iterable(some))

    def _ids(self, rows: Rows) -> list[str]:
        """The frames in some rows of the index."""
        return self.index.table["frame_id"].iloc[rows].tolist()

    def _shown(self, rows: Rows) -> Windows | None:
        return None if self.windows is None else self.windows[rows]

    def _moments(self, rows: Rows) -> Moments:
        return Moments(self._video[rows].astype(np.int64), self._time_s[rows])
