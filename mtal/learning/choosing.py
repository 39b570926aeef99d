"""What a round picks: how much, by what is known of the heads, and whether there is to be a round at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mtal.annotation import Availability
from mtal.frames.window import of_rows
from mtal.learning.answers import PICKS
from mtal.learning.askable_pool import Rows
from mtal.learning.hidden_labels import hidden_labels
from mtal.learning.labelled_set import LabelledSet
from mtal.learning.measured import learn_cost
from mtal.learning.picking import Picker
from mtal.learning.picks import Picks, picks_table, predict_masks, with_asked, write_images
from mtal.learning.reference import first_scores
from mtal.learning.round import Round
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import integer_seed
from mtal.learning.setup import Setup
from mtal.learning.standing import Standing, needs_out_of_fold, past_rounds, standing
from mtal.learning.stop import PoolIsDoneError, uncertainty
from mtal.learning.timings import timed, write_timings
from mtal.models import MultiTaskModel


class Choosing:
    """The picks of every round of one run.

    Args:
        setup: what the run is made of.
        availability: of labels of the pool.

    Raises:
        ValueError: the budget is larger than what can be labelled, or the selector needs what there is not.
    """

    def __init__(self, setup: Setup, availability: Availability) -> None:
        self._setup, self._availability = setup, availability
        acquisition, oracle, dataset, tasks = setup.acquisition, setup.oracle, setup.dataset, setup.tasks
        hidden = hidden_labels(acquisition, oracle, dataset, tasks, setup.frames.size)
        where = (setup.device, setup.seed, setup.frames.windows)
        self._picker = Picker(dataset, setup.inputs, tasks, acquisition, *where, hidden, setup.engine)
        people = oracle.asks_people  # who find frames unusable on the way
        askable = None if people else len(self._picker.pool.candidates((), availability))
        self._first = setup.loop.first(len(dataset.index.pool), askable)

    def choose(self, folder: RunFolder, number: int, labelled: LabelledSet) -> None:
        """Pick for a round, and keep that in the folder, see :meth:`~mtal.learning.run_folder.RunFolder.picking`.

        Args:
            folder: of the run, with all rounds before.
            number: of the round.
            labelled: frames that were picked before, with their labels.

        Raises:
            PoolIsDoneError: there is nothing to pick, or the model is certain of what there is.
        """
        setup = self._setup
        timings: dict[str, float] = {}
        with folder.picking(number) as path:
            left = self._picker.pool.candidates(labelled.frame_ids, self._availability)
            if not len(left):
                raise PoolIsDoneError("every frame of the pool that can be labelled is")
            model = setup.model_before(folder, number)
            asked = Round(
                number,
                self._first,
                folder,
                path,
                labelled.frame_ids,
                timings=timings,
                labels=labelled.labels,
                availability=self._availability,
                shards=folder.scored_path(number),
            )
            if number:
                learn_cost(setup.acquisition, setup.oracle.view, setup.tasks, path)
                asked = self._informed(asked, len(left))
            picks = self._picker.pick(model, asked)
            if number:
                self._refuse_if_done(picks, asked, left)
            self._keep(path, model, picks)
            write_timings(path, timings)

    def _informed(self, asked: Round, left: int) -> Round:
        """A round after the initial set, with its budget and with what the labelled frames tell."""
        loop, acquisition = self._setup.loop, self._setup.acquisition
        return replace(
            asked,
            budget=loop.batch if loop.counts_frames else left,
            budget_s=loop.batch_seconds,
            budget_answers=loop.batch_answers,
            known=self._standing(asked) if acquisition.reads_the_pool else asked.known,
            reference=first_scores(asked.folder) if acquisition.blend.frozen_statistics else None,
        )

    def _standing(self, asked: Round) -> Standing:
        """Where the heads stand, judged on labelled frames alone."""
        setup = self._setup
        assert asked.labels is not None
        validated = None
        if needs_out_of_fold(setup.acquisition):
            positions = setup.positions(asked.labelled)
            with timed(asked.timings, "validate"):
                validated = setup.trainings.out_of_fold(
                    setup.make_model,
                    setup.tasks,
                    setup.inputs,
                    positions,
                    asked.labels,
                    setup.trainer,
                    folds=setup.loop.folds,
                    groups=[setup.dataset.index.names(kind, positions) for kind in ("patient", "video")],
                    weighting=setup.weighting,
                    seed=integer_seed(setup.seed, asked.number, "folds"),
                    steps=setup.loop.steps_per_fold(asked.folder, setup.trainer),
                    device=setup.device,
                )
        return standing(setup.acquisition, setup.tasks, asked.labels, validated, past_rounds(asked.folder))

    def _refuse_if_done(self, picks: Picks, asked: Round, left: Rows) -> None:
        stop = self._setup.loop.stop
        if picks.table is not None:
            askable = self._picker.pool.by_head(left, self._availability)
            seen = uncertainty(self._setup.acquisition, picks.table, asked.known.silent, askable)
            if stop.certain(seen):
                told = f"the mean entropy of the pool is {seen:.3f}, below {stop.uncertainty_below:g}"
                raise PoolIsDoneError(told, seen)
        if not picks.frame_ids:
            raise PoolIsDoneError("no frame is left that the budget and the rules of acquisition allow to pick")

    def _keep(self, path: Path, model: MultiTaskModel, picks: Picks) -> None:
        setup = self._setup
        at = setup.positions(picks.frame_ids)
        table = picks_table(setup.dataset.index.select(picks.frame_ids), {}, [], picks)
        with_asked(table, self._availability, picks).to_parquet(path / PICKS, index=False)
        predictions = {}
        if picks.table is not None:
            windows = of_rows(setup.frames.windows, at)
            predictions = predict_masks(model, setup.tasks, setup.inputs, at, setup.frames.size, setup.device, windows)
        write_images(path / "images", setup.frames, at, {}, predictions)
