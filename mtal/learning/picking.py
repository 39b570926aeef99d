"""Which frames a round picks: weigh the heads, look at the pool, fuse, select, and keep why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition import Acquisition, Candidates, Comparable, ScoreTable
from mtal.acquisition.distance_words import distance_words
from mtal.acquisition.shown import Shown
from mtal.acquisition.silence import heard
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.window import Windows
from mtal.learning.askable_pool import AskablePool, Rows
from mtal.learning.frame_rows import FrameRows
from mtal.learning.hidden_labels import HiddenLabels
from mtal.learning.looking import Looking, Seen
from mtal.learning.picks import Picks
from mtal.learning.presence import shown_by
from mtal.learning.previous_posteriors import write_posteriors
from mtal.learning.round import Round
from mtal.learning.score_files import write_embeddings, write_scores
from mtal.learning.seeds import integer_seed, numpy_generator
from mtal.learning.standing import write_standing
from mtal.learning.timings import timed
from mtal.models import MultiTaskModel
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import Inputs
from mtal.tasks.task import Task


@dataclass(frozen=True)
class _Queried:
    """Which heads each candidate would be asked for, ``[N, T]``, and the annotator seconds of these, ``[N]``.

    ``None`` for all heads that can be, and where nothing asks for seconds.
    """

    heads: npt.NDArray[np.bool_] | None = None
    cost_s: npt.NDArray[np.float64] | None = None


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
        self.tasks = list(tasks)
        self.acquisition = acquisition
        self.seed = seed
        self.pool = AskablePool(dataset.index, self.tasks)
        self._frames = FrameRows(dataset.index, windows)
        self._looking = Looking(self._frames, self.pool, inputs, self.tasks, acquisition, device, seed, engine)
        self._hidden = hidden

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
        return self._seen(model, asked, rows)

    def _cold(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Picks:
        with timed(asked.timings, "select"):
            features = None
            if "features" in self.acquisition.selection.cold_start.needs:
                features = torch.from_numpy(self._looking.features(model, rows))
            at = self._select(replace(self._bare(asked, rows, _Queried()), features=features), asked)
        return Picks(self._frames.ids(rows[at]), at, self.acquisition.selection.cold_start.reason(asked.number))

    def _unseen(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Picks:
        """Picks of a selector that reads nothing of the model: it looks at the pool for the frames' cost at most."""
        queried = _Queried()
        if asked.budget_s is not None and self.acquisition.limits.cost is not None:
            with timed(asked.timings, "score"):
                queried = _Queried(cost_s=self._looking.costs(model, asked, rows))
        with timed(asked.timings, "select"):
            at = self._select(self._bare(asked, rows, queried), asked)
        because = self.acquisition.selection.selector.reason(asked.number)
        return Picks(self._frames.ids(rows[at]), at, because, cost_s=queried.cost_s)

    def _seen(self, model: MultiTaskModel, asked: Round, rows: Rows) -> Picks:
        with timed(asked.timings, "score"):
            seen = self._looking.look(model, asked, rows)
        gradients, silent, weights = seen.pool.gradients, seen.known.silent, seen.weights
        with timed(asked.timings, "fuse"):
            scores = self.acquisition.comparable(seen.table, seen.reference)
            utility = scores.utility(self.acquisition.say(seen.table.tasks, weights, silent))
            gradient = self.acquisition.joint_gradient(gradients, silent, weights) if gradients else None
        selector = self.acquisition.selection.selector
        why: dict[int, str] = {}
        with timed(asked.timings, "select"):
            queried = self._query(asked, rows, seen, scores)
            candidates = replace(self._of_model(asked, rows, seen, queried), utility=utility, gradient=gradient)
            at = self._select(candidates, asked, why)
            if gradient is not None and "gradient" in selector.reads(asked.number):
                why |= distance_words(gradient, at.tolist(), selector.reason(asked.number))
        with timed(asked.timings, "write"):
            self._write(asked, rows, seen, utility)
        went_by: ScoreTable | None = None
        if "shown" not in selector.reads(asked.number) or seen.known.presence.trust > 0:  # else no score mattered
            went_by = self.acquisition.went_by(scores, gradients, silent, weights, asked.number)
        return Picks(
            self._frames.ids(rows[at]),
            at,
            because=selector.reason(asked.number),
            table=seen.table,
            utility=utility.numpy(),
            went_by=went_by,
            cost_s=queried.cost_s,
            asked=queried.heads,
            why=why,
        )

    def _with_silent(self, asked: Round, rows: Rows) -> Round:
        """The round with no say for heads that can be asked for in no candidate, nor for those that nobody trains."""
        used_up = [task for task, askable in self.pool.by_head(rows, asked.availability).items() if not askable.any()]
        untrained = [t.name for t in self.tasks if t.weight == 0]
        silent = tuple(dict.fromkeys([*asked.known.silent, *used_up, *untrained]))
        return replace(asked, known=replace(asked.known, silent=silent))

    def _query(self, asked: Round, rows: Rows, seen: Seen, scores: Comparable) -> _Queried:
        """Which heads each candidate would be asked for."""
        cost, by_head = self.acquisition.limits.cost, seen.pool.cost_by_head
        if self.acquisition.limits.query.asks_all or cost is None or by_head is None:
            return _Queried(cost_s=seen.pool.cost_s)
        tasks, silent = [t.name for t in self.tasks], seen.known.silent
        can = self.pool.by_head(rows, asked.availability)
        askable = np.stack([can.get(t, np.ones(len(rows), dtype=bool)) for t in tasks], axis=1)  # [N, T]
        askable &= np.array([t.weight > 0 for t in self.tasks])
        heads = self.acquisition.query(scores, by_head, askable, tasks, silent, weights=seen.weights)
        heads |= askable & np.isin(tasks, silent)  # one without a label so far has no say, and needs one
        return _Queried(heads, cost.look_s * heads.any(axis=1) + (by_head * heads).sum(axis=1))

    def _bare(self, asked: Round, rows: Rows, queried: _Queried) -> Candidates:
        """The candidates as far as no model says anything of them, but for what they cost."""
        frames, labelled = self._frames, self._frames.of(asked.labelled)
        answers = self.pool.answers(rows, asked.availability) if queried.heads is None else queried.heads.sum(axis=1)
        return Candidates(
            frames.hashes(integer_seed(self.seed, asked.number, "ties"), rows),
            moments=frames.moments(rows),
            labelled_moments=frames.moments(labelled),
            patients=frames.patients(rows),
            labelled_patients=np.append(frames.patients(labelled), frames.codes(asked.labelled_elsewhere)),
            cost_s=queried.cost_s,
            answers=answers,
            round_number=max(asked.number, 1),
        )

    def _of_model(self, asked: Round, rows: Rows, seen: Seen, queried: _Queried) -> Candidates:
        """The candidates with what a model says of them."""
        pool, labelled, silent = seen.pool, seen.labelled, seen.known.silent
        return replace(
            self._bare(asked, rows, queried),
            features=torch.from_numpy(pool.shared),
            labelled_features=None if labelled is None else torch.from_numpy(labelled.shared),
            posterior=heard(pool.posteriors, silent),
            members=heard({t: h for t, h in pool.members.items() if h.probs.shape[2] == 1}, silent),
            fisher=heard(pool.fisher, silent),
            labelled_fisher=None if labelled is None else heard(labelled.fisher, silent),
            classes={t.name: t.classes for t in self.tasks},
            shown=self._shown_classes(asked, rows, seen, queried),
            hidden=None if self._hidden is None else self._hidden(self._frames.ids(rows)),
        )

    def _shown_classes(self, asked: Round, rows: Rows, seen: Seen, queried: _Queried) -> Shown | None:
        """What frames show to heads that they would be asked for, and for how many seconds."""
        if "shown" not in self.acquisition.selector_needs:
            return None
        askable = self.pool.by_head(rows, asked.availability)
        if queried.heads is not None:
            askable = {t.name: column for t, column in zip(self.tasks, queried.heads.T, strict=True)}
        return shown_by(
            self.tasks,
            seen.known.presence,
            seen.pool.posteriors,
            seen.pool.shared,
            self._frames.patients(rows),
            self._frames.patients(self._frames.of(asked.labelled)),
            askable,
            queried.cost_s if asked.budget_s is not None else None,
        )

    def _select(self, candidates: Candidates, asked: Round, why: dict[int, str] | None = None) -> npt.NDArray[np.int64]:
        at: npt.NDArray[np.int64] = self.acquisition.select(
            candidates,
            asked.budget,
            numpy_generator(self.seed, asked.number, "select"),
            budget_s=asked.budget_s,
            budget_answers=asked.budget_answers,
            cold=asked.number == 0,
            why=why,
        ).numpy()
        return at

    def _write(self, asked: Round, rows: Rows, seen: Seen, utility: Tensor) -> None:
        """Leave scores and evidence in the round's path."""
        frame_ids = self._frames.index.table["frame_id"].iloc[rows]
        write_scores(asked.path, frame_ids, seen.table, utility, seen.pool.cost_s)
        write_embeddings(asked.path, seen.pool.shared)
        say = self.acquisition.say.of([t.name for t in self.tasks], seen.weights, seen.known.silent)
        write_standing(asked.path, seen.known, say, len(asked.labelled))
        if "previous" in self.acquisition.pool_needs:
            write_posteriors(asked.path, rows, seen.pool.posteriors)
