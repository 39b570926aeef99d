"""What a round learns: from labels and from frames without one, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.evaluation import record
from mtal.learning.held_out import HeldOutFrames
from mtal.learning.labelled_set import LabelledSet
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import integer_seed
from mtal.learning.setup import Setup
from mtal.learning.timings import timed
from mtal.learning.training import Training
from mtal.learning.unlabelled import Teacher, Unlabelled
from mtal.learning.weights_file import WEIGHTS, write_weights
from mtal.models import MultiTaskModel
from mtal.scoring.site_weights import learn_site_weights, read_annotatable, write_annotatable


@dataclass(frozen=True)
class Lesson:
    """What a round is to learn, and where it leaves what it found.

    Args:
        number: of the round.
        folder: of the run, with all rounds before.
        path: where the round is being written.
        before: frames that were labelled before.
        fresh: those that this round had labelled.
        labelled: both.
        timings: seconds of each stage are added to it.
    """

    number: int
    folder: RunFolder
    path: Path
    before: LabelledSet
    fresh: LabelledSet
    labelled: LabelledSet
    timings: dict[str, float]


@dataclass(frozen=True)
class Taught:
    """What came of a lesson.

    Attributes:
        training: how it went.
        tested: see :func:`~mtal.learning.evaluation.record`.
        val: metrics of the split ``val``; ``None`` where there is none.
        derived: what frames without a label have taught.
    """

    training: Training
    tested: dict[str, Any]
    val: Mapping[str, float] | None
    derived: Sequence[DerivedLabels]


class Teaching:
    """The trainings of every round of one run, and their evaluation.

    Args:
        setup: what the run is made of.
        held_out: what models are judged on.
    """

    def __init__(self, setup: Setup, held_out: HeldOutFrames) -> None:
        self._setup, self._held_out = setup, held_out
        self._unlabelled = Unlabelled(
            setup.tasks, setup.inputs, setup.frames, setup.dataset.index, setup.trainer, setup.device, setup.seed
        )

    def teach(self, lesson: Lesson) -> Taught:
        """Train on all labels and evaluate; weights, and what they were learnt from, are left in ``lesson.path``."""
        setup, timings = self._setup, lesson.timings
        derived = self._derived(lesson)
        for some in derived:
            some.table().to_parquet(lesson.path / f"{some.name}.parquet", index=False)
        with timed(timings, "train"):
            cold = setup.trainer.restart == "cold"
            model = setup.make_model() if cold else setup.model_before(lesson.folder, lesson.number)
            training = self._train(model, lesson, derived)
        with timed(timings, "evaluate"):
            tested = record(self._held_out.measure("test", model, setup.device), self._held_out.table("test"))
            val = training.val
            if self._held_out.has_val and val is None:
                val = self._held_out.measure_val(model, setup.device)
        self._learn_site_weights(model, lesson)
        write_weights(lesson.path / WEIGHTS, model, setup.tasks)
        return Taught(training, tested, val if self._held_out.has_val else None, derived)

    def _derived(self, lesson: Lesson) -> list[DerivedLabels]:
        """What frames without a label teach, by the labels of earlier rounds and of this one and by all of them."""
        setup = self._setup
        if not setup.trainer.learns_from_unlabelled:
            return []
        before, fresh, labelled = (
            (setup.positions(some.frame_ids), some.labels) for some in (lesson.before, lesson.fresh, lesson.labelled)
        )
        teacher = None
        if lesson.number:
            annotatable = read_annotatable(lesson.folder.round_path(lesson.number - 1))
            teacher = Teacher(setup.model_before(lesson.folder, lesson.number), before, annotatable)
        asked = setup.positions([*lesson.folder.labelled(), *lesson.fresh.frame_ids])
        with timed(lesson.timings, "derive"):
            return self._unlabelled.derived(lesson.number, asked, labelled, fresh, teacher)

    def _train(self, model: MultiTaskModel, lesson: Lesson, derived: Sequence[DerivedLabels]) -> Training:
        setup = self._setup
        positions = setup.positions(lesson.labelled.frame_ids)
        return setup.trainings.fit_judged(
            model,
            setup.tasks,
            setup.inputs,
            positions,
            lesson.labelled.labels,
            setup.trainer,
            patients=setup.dataset.index.names("patient", positions),
            videos=setup.dataset.index.names("video", positions),
            measure_val=self._held_out.measure_val if self._held_out.has_val else None,
            weighting=setup.weighting,
            seed=integer_seed(setup.seed, lesson.number, "train"),
            derived=derived,
        )

    def _learn_site_weights(self, model: MultiTaskModel, lesson: Lesson) -> None:
        """Keep what the next round weighs the pixels of its candidates by, or leaves out of its pseudo-labels."""
        setup = self._setup
        acquires = setup.acquisition.reads_the_pool and setup.acquisition.measurement.site_weights != "equal"
        if not (acquires or setup.trainer.pseudo_labels.is_on):
            return
        with timed(lesson.timings, "annotatability"):
            found = learn_site_weights(
                model,
                setup.tasks,
                setup.inputs,
                setup.positions(lesson.labelled.frame_ids),
                lesson.labelled.labels,
                setup.device,
                integer_seed(setup.seed, lesson.number, "sites"),
            )
        write_annotatable(lesson.path, found)
