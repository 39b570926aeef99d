"""The rounds: pick, label, retrain, evaluate, until the budget is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtal.acquisition import Acquisition
from mtal.annotation import Oracle, Request, settle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.masks import SomeLabels, joined
from mtal.frames.cache import FrameArray
from mtal.frames.window import of_rows
from mtal.learning.answers import PICKS, Answers
from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.evaluation import EvaluationSettings, known_numbers, record
from mtal.learning.held_out import HeldOutFrames
from mtal.learning.hidden_labels import hidden_labels
from mtal.learning.kept_tables import let_go_of_tables
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.measured import learn_cost
from mtal.learning.multi_task_loss import Weighting, check_weighting
from mtal.learning.picking import Picker
from mtal.learning.picks import (
    Picks,
    class_counts,
    labelled_frames,
    picks_table,
    predict_masks,
    said_on_frame,
    with_asked,
    write_images,
)
from mtal.learning.reference import first_scores
from mtal.learning.round import Round
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import integer_seed
from mtal.learning.standing import Standing, needs_out_of_fold, past_rounds, standing
from mtal.learning.stop import PoolIsDoneError, note, reason, uncertainty
from mtal.learning.timings import TIMINGS, timed, write_timings
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import Training
from mtal.learning.trainings import Trainings
from mtal.learning.unlabelled import Teacher, Unlabelled
from mtal.learning.weights_file import WEIGHTS, read_weights, write_weights
from mtal.models import MultiTaskModel
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import Inputs
from mtal.scoring.site_weights import learn_site_weights, read_annotatable, write_annotatable
from mtal.tasks.task import Task

STORE = "store.json"

RoundListener = Callable[[Path, int], None]
"""Called with the run folder and the number of a round that is complete on disk."""


@dataclass
class Experiment:
    """One run of active learning.

    Args:
        dataset: frames, splits and label maps.
        frames: their pixels, rows as in the frame index.
        inputs: what the model is fed.
        tasks: the heads.
        make_model: gives a fresh model, the same at each call.
        acquisition: which frames to pick.
        oracle: who labels them.
        loop: budget.
        trainer: training.
        weighting: how the heads' losses add up.
        evaluation: how held-out frames are scored.
        seed: of the whole run.
        listeners: told of every complete round.
        encoder: what the model's encoder is, see :attr:`~mtal.models.Encoder.description`.
        engine: who scores the pool; this process where ``None``.
        trainings: makes models learn, or reads what the very same training gave before.
    """

    dataset: SurgicalDataset
    frames: FrameArray
    inputs: Inputs
    tasks: Sequence[Task]
    make_model: Callable[[], MultiTaskModel]
    acquisition: Acquisition
    oracle: Oracle
    loop: LoopSettings = field(default_factory=LoopSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    weighting: Weighting = "fixed"
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    listeners: Sequence[RoundListener] = ()
    encoder: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine | None = None
    trainings: Trainings = field(default_factory=Trainings)

    def __post_init__(self) -> None:
        index = self.dataset.index
        pool = index.pool
        if not len(pool) or not (index.table["split"] == "test").any():
            raise ValueError(
                f"data set {self.dataset.name!r} needs frames to learn from and to test on: see data.test_patients"
            )
        self.held_out_frames = HeldOutFrames(
            self.dataset,
            self.frames,
            self.inputs,
            self.tasks,
            self.oracle,
            self.evaluation,
            {"test": self.loop.test_frames, "val": None},
            self.seed,
        )
        check_weighting(self.weighting)
        self._size: tuple[int, int] = self.frames.size
        of_pool = index.table["frame_id"].iloc[pool]
        self._availability = self.oracle.availability(of_pool, [t.name for t in self.tasks])
        self._answers = Answers(self.oracle, self.tasks, self.frames, self._availability, self.acquisition.limits.query)
        self._device = self.trainer.device()
        hidden = hidden_labels(self.acquisition, self.oracle, self.dataset, self.tasks, self._size)
        where = (self._device, self.seed, self.frames.windows)
        self._picker = Picker(self.dataset, self.inputs, self.tasks, self.acquisition, *where, hidden, self.engine)
        people = self.oracle.asks_people  # who find frames unusable on the way
        askable = None if people else len(self._picker.pool.candidates((), self._availability))
        self._first = self.loop.first(len(pool), askable)
        self._unlabelled = Unlabelled(
            self.tasks, self.inputs, self.frames, self.dataset.index, self.trainer, self._device, self.seed
        )

    def run(self, folder: RunFolder) -> dict[str, float]:
        """Go on from whatever rounds ``folder`` holds; returns the metrics of the last one.

        Raises:
            LabelsPendingError: the annotators are not done; call again later.
        """
        if self.oracle.asks_people:
            self.held_out_frames.settle(folder)
        for number in range(folder.complete_rounds(), self.loop.rounds + 1):
            if why := reason(folder, self.loop.stop):
                note(folder, why)
                break
            try:
                self._round(folder, number)
            except PoolIsDoneError as done:
                note(folder, str(done), done)
                break
            for listener in self.listeners:
                listener(folder.path, number)
            let_go_of_tables(folder, self.loop.keep_tables_gib, self.acquisition.blend.frozen_statistics)
        else:
            note(folder, "")
        folder.forget_scored(folder.complete_rounds())  # of a round that was killed and is wanted no more
        last: dict[str, float] = folder.metrics(folder.complete_rounds() - 1)["metrics"]
        return last

    def _round(self, folder: RunFolder, number: int) -> None:
        """Pick, ask, learn: each is done once, whenever the run is ended in between."""
        labelled, known = self._answers.known(folder)
        waiting = folder.picked_path(number)
        if not waiting.is_dir():
            self._pick_round(folder, number, labelled, known)
        table = pd.read_parquet(waiting / PICKS)
        settle(self.oracle, self._request(folder, number, table), folder.note_waiting)
        picked = table["frame_id"].tolist()
        timings: dict[str, float] = json.loads((waiting / TIMINGS).read_text())
        with folder.round(number) as path:
            with timed(timings, "label"):
                answers = self._answers.of(picked, table.set_index("frame_id"))
                labels = {t: joined(known[t], y) if labelled else y for t, y in answers.items()}
            self._answers.keep(path, table, answers)
            derived = self._derived(folder, number, (labelled, known), (picked, answers), labels, timings)
            for some in derived:
                some.table().to_parquet(path / f"{some.name}.parquet", index=False)
            with timed(timings, "train"):
                cold = self.trainer.restart == "cold"
                model = self.make_model() if cold else self._model_before(folder, number)
                training = self._train(model, [*labelled, *picked], labels, number, derived)
            with timed(timings, "evaluate"):
                held_out = self.held_out_frames
                tested = record(held_out.measure("test", model, self._device), held_out.table("test"))
                val = training.val
                if held_out.has_val and val is None:
                    val = held_out.measure_val(model, self._device)
            self._learn_site_weights(model, [*labelled, *picked], labels, number, path, timings)
            write_weights(path / WEIGHTS, model, self.tasks)
            summary = {
                "round": number,
                "labelled": len(labelled) + len(picked),
                "picked": len(picked),
                "answers": {t: int(n.sum()) for t, n in labelled_frames(self.tasks, labels).items()},
                **tested,
                **({} if val is None or not held_out.has_val else {"val": known_numbers(val)}),
                "val_labelled": self.val_labelled if self.val_read_by else 0,
                "class_counts": class_counts(self.tasks, labels),
                "training": training.record(),
                **{some.name: some.record() for some in derived},
            }
            (path / "metrics.json").write_text(json.dumps(summary, indent=1))
            if self.oracle.asks_people:
                (path / STORE).write_text(json.dumps({"digest": self.oracle.digest}))
            write_timings(path, timings)

    def _pick_round(self, folder: RunFolder, number: int, labelled: list[str], known: Mapping[str, SomeLabels]) -> None:
        timings: dict[str, float] = {}
        with folder.picking(number) as path:
            if not len(self._picker.pool.candidates(labelled, self._availability)):
                raise PoolIsDoneError("every frame of the pool that can be labelled is")
            model = self._model_before(folder, number)
            if number:
                learn_cost(self.acquisition, self.oracle.view, self.tasks, path)
            picks = self._pick(model, Round(number, self._first, folder, path, labelled, timings=timings, labels=known))
            self._keep_picks(path, model, picks)
            write_timings(path, timings)

    def _model_before(self, folder: RunFolder, number: int) -> MultiTaskModel:
        """As the round before has left it."""
        model = self.make_model()
        if number > 0:
            before = read_weights(folder.round_path(number - 1) / WEIGHTS, self.tasks)
            model.load_state_dict(before, strict=False)
        return model

    def _request(self, folder: RunFolder, number: int, table: pd.DataFrame) -> Request:
        """What was picked, as annotators are asked for it."""
        frame_ids, tasks = table["frame_id"].tolist(), self._availability.tasks
        sources = self.dataset.index.select(frame_ids)["source"].to_numpy()
        asked = np.stack([table[f"asked/{task}"].to_numpy(dtype=bool) for task in tasks], axis=1)  # [N, T]

        model = cache(lambda: self._model_before(folder, number))  # nobody asks where all is answered

        def guess(row: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
            (at,) = self.positions([frame_ids[row]]).tolist()
            return said_on_frame(model(), self.tasks, self.inputs, at, size, self._device, self.frames.windows)

        return Request(f"{number:02d}", table.assign(source=sources), tasks, asked, guess=guess if number else None)

    def _derived(
        self,
        folder: RunFolder,
        number: int,
        before: tuple[list[str], dict[str, SomeLabels]],
        fresh: tuple[list[str], dict[str, SomeLabels]],
        labels: Mapping[str, SomeLabels],
        timings: dict[str, float],
    ) -> list[DerivedLabels]:
        """What frames without a label teach, by the labels of earlier rounds and of this one and by all of them."""
        if not self.trainer.learns_from_unlabelled:
            return []
        labelled, new = self.positions(before[0]), self.positions(fresh[0])
        teacher = None
        if number:
            annotatable = read_annotatable(folder.round_path(number - 1))
            teacher = Teacher(self._model_before(folder, number), (labelled, before[1]), annotatable)
        asked = self.positions([*folder.labelled(), *fresh[0]])
        with timed(timings, "derive"):
            return self._unlabelled.derived(
                number, asked, (np.concatenate([labelled, new]), labels), (new, fresh[1]), teacher
            )

    def _train(
        self,
        model: MultiTaskModel,
        frame_ids: Sequence[str],
        labels: Mapping[str, SomeLabels],
        number: int,
        derived: Sequence[DerivedLabels],
    ) -> Training:
        positions = self.positions(frame_ids)
        patients, videos = (self.dataset.index.names(kind, positions) for kind in ("patient", "video"))
        return self.trainings.fit_judged(
            model,
            self.tasks,
            self.inputs,
            positions,
            labels,
            self.trainer,
            patients=patients,
            videos=videos,
            measure_val=self.held_out_frames.measure_val if self.held_out_frames.has_val else None,
            weighting=self.weighting,
            seed=integer_seed(self.seed, number, "train"),
            derived=derived,
        )

    @property
    def val_read_by(self) -> tuple[str, ...]:
        """Options by which the split ``val`` changes what the run does; its labels then are part of what it costs."""
        readers = {
            "trainer.until": self.trainer.until == "plateau",
            "loop.stop.val_flat_rounds": self.loop.stop.val_flat_rounds is not None,
        }
        return tuple(option for option, reads in readers.items() if reads and self.held_out_frames.has_val)

    @property
    def val_labelled(self) -> int:
        """Frames of the split ``val`` with a label of any head."""
        return self.held_out_frames.labelled("val")

    def held_out(self) -> pd.DataFrame:
        """See :class:`~mtal.learning.run_folder.Fingerprints`."""
        return self.held_out_frames.fingerprints()

    def digests(self, frame_ids: Sequence[str], asked: pd.DataFrame) -> pd.DataFrame:
        """See :class:`~mtal.learning.run_folder.Fingerprints`."""
        return self._answers.digests(frame_ids, asked)

    def positions(self, frame_ids: Sequence[str]) -> np.ndarray:
        """Rows of the frame index."""
        return self.dataset.index.positions(frame_ids)

    def _pick(self, model: MultiTaskModel, asked: Round) -> Picks:
        asked = replace(asked, availability=self._availability, shards=asked.folder.scored_path(asked.number))
        if asked.number == 0:
            return self._picker.pick(model, asked)
        left = self._picker.pool.candidates(asked.labelled, self._availability)
        asked = replace(
            asked,
            budget=self.loop.batch if self.loop.counts_frames else len(left),
            budget_s=self.loop.batch_seconds,
            budget_answers=self.loop.batch_answers,
        )
        if self.acquisition.reads_the_pool:
            asked = replace(asked, known=self._standing(asked))
        if self.acquisition.blend.frozen_statistics:
            asked = replace(asked, reference=first_scores(asked.folder))
        picks = self._picker.pick(model, asked)
        if picks.table is not None:
            askable = self._picker.pool.by_head(left, self._availability)
            seen = uncertainty(self.acquisition, picks.table, asked.known.silent, askable)
            if self.loop.stop.certain(seen):
                told = f"the mean entropy of the pool is {seen:.3f}, below {self.loop.stop.uncertainty_below:g}"
                raise PoolIsDoneError(told, seen)
        if not picks.frame_ids:
            raise PoolIsDoneError("no frame is left that the budget and the rules of acquisition allow to pick")
        return picks

    def _learn_site_weights(
        self,
        model: MultiTaskModel,
        labelled: list[str],
        labels: Mapping[str, SomeLabels],
        number: int,
        path: Path,
        timings: dict[str, float],
    ) -> None:
        """Keep what the next round weighs the pixels of its candidates by, or leaves out of its pseudo-labels."""
        acquires = self.acquisition.reads_the_pool and self.acquisition.measurement.site_weights != "equal"
        if not (acquires or self.trainer.pseudo_labels.is_on):
            return
        with timed(timings, "annotatability"):
            found = learn_site_weights(
                model,
                self.tasks,
                self.inputs,
                self.positions(labelled),
                labels,
                self._device,
                integer_seed(self.seed, number, "sites"),
            )
        write_annotatable(path, found)

    def _standing(self, asked: Round) -> Standing:
        """Where the heads stand, judged on labelled frames alone."""
        assert asked.labels is not None
        validated = None
        if needs_out_of_fold(self.acquisition):
            positions = self.positions(asked.labelled)
            with timed(asked.timings, "validate"):
                validated = self.trainings.out_of_fold(
                    self.make_model,
                    self.tasks,
                    self.inputs,
                    positions,
                    asked.labels,
                    self.trainer,
                    folds=self.loop.folds,
                    groups=[self.dataset.index.names(kind, positions) for kind in ("patient", "video")],
                    weighting=self.weighting,
                    seed=integer_seed(self.seed, asked.number, "folds"),
                    steps=self.loop.steps_per_fold(asked.folder, self.trainer),
                    device=self._device,
                )
        return standing(self.acquisition, self.tasks, asked.labels, validated, past_rounds(asked.folder))

    def _keep_picks(self, path: Path, model: MultiTaskModel, picks: Picks) -> None:
        at = self.positions(picks.frame_ids)
        table = picks_table(self.dataset.index.select(picks.frame_ids), {}, [], picks)
        with_asked(table, self._availability, picks).to_parquet(path / PICKS, index=False)
        predictions = {}
        if picks.table is not None:
            windows = of_rows(self.frames.windows, at)
            predictions = predict_masks(model, self.tasks, self.inputs, at, self._size, self._device, windows)
        write_images(path / "images", self.frames, at, {}, predictions)
