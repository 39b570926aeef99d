"""Train until frames that are not learnt from say stop: those of the split ``val``, or some of the labelled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mtal.datasets.masks import SomeLabels, take
from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.evaluation import measure
from mtal.learning.multi_task_loss import Weighting
from mtal.learning.out_of_fold import assign_folds
from mtal.learning.picks import class_counts
from mtal.learning.plateau import Measure
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import Training, fit
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs
from mtal.tasks.task import Task

PARTS = 5
"""A fifth of the labelled frames is held out, or as near to it as whole patients allow."""


def fit_judged(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: npt.NDArray[np.int64],
    labels: Mapping[str, SomeLabels],
    settings: TrainerSettings,
    *,
    patients: npt.ArrayLike,
    videos: npt.ArrayLike,
    measure_val: Measure | None = None,
    weighting: Weighting = "fixed",
    seed: int = 0,
    derived: Sequence[DerivedLabels] = (),
) -> Training:
    """:func:`~mtal.learning.training.fit` on the labelled frames, until ``val`` says stop where it is to.

    Where there is no ``val``, some of the labelled frames are held out to find how long to train, and then the model is
    trained on all of them: as many passes, and at the same learning rates on the way (Goodfellow, Bengio and Courville,
    Deep Learning, 2016, algorithm 7.2, with passes in place of steps). Labels are too dear to serve for that alone.

    Args:
        model: trained in place.
        tasks: the heads.
        inputs: of all frames.
        positions: ``[N]`` labelled frames.
        labels: of them, by task.
        settings: of the training. Only ``until="plateau"`` needs to measure anything.
        patients: of the labelled frames, ``[N]``.
        videos: of the labelled frames, ``[N]``.
        measure_val: gives the metrics of the split ``val``; without it some of the labelled frames are held out, see
            :func:`hold_out`.
        weighting: how the heads' losses add up.
        seed: of the training.
        derived: frames that teach beside the labelled ones; those that owe their labels to a frame that is held out,
            or lie in a video of which every labelled frame is, are left out while the length is sought.
    """
    train = partial(fit, tasks=tasks, inputs=inputs, settings=settings, weighting=weighting, seed=seed)
    if settings.until != "plateau":
        return train(model, positions=positions, targets=labels, derived=derived)
    if measure_val is not None:
        training = train(model, positions=positions, targets=labels, measure=measure_val, derived=derived)
        return replace(training, judged_on="the split val")
    out = hold_out(tasks, labels, positions, patients, videos)
    held, learnt = np.flatnonzero(out.rows), np.flatnonzero(~out.rows)
    wanted = {task: take(y, held) for task, y in labels.items()}

    def measure_held(model: MultiTaskModel, device: torch.device) -> Mapping[str, float]:
        return measure(model, tasks, inputs, positions[held], wanted, device).compute()

    videos = np.asarray(videos)
    unseen = np.setdiff1d(videos[held], videos[learnt])
    tried = train(
        deepcopy(model),
        positions=positions[learnt],
        targets={task: take(y, learnt) for task, y in labels.items()},
        measure=measure_held,
        derived=[some.without(positions[held], unseen) for some in derived],
    )
    assert tried.course is not None
    course = tried.course.stretched(len(positions), len(learnt))
    training = train(model, positions=positions, targets=labels, course=course, derived=derived)
    return replace(training, converged=tried.converged, scores=tried.scores, judged_on=out.of)


class HeldOut(NamedTuple):
    """Labelled frames that are not trained on.

    ``rows [N]`` says which of the labelled frames they are, ``of`` what they were taken by.
    """

    rows: npt.NDArray[np.bool_]
    of: str


def hold_out(
    tasks: Sequence[Task],
    labels: Mapping[str, SomeLabels],
    positions: npt.NDArray[np.int64],
    patients: npt.ArrayLike,
    videos: npt.ArrayLike,
) -> HeldOut:
    """About a fifth of the labelled frames: whole patients, or whole videos where all are of one patient.

    Where there is one video only, a stretch of it, whose frames beside the cut look like some that are trained on. Of
    the parts that could be held out, which are no more than half, the one is taken that shares most classes with the
    rest, since a class that one of the two lacks is not learnt or not judged; of several the one that is nearest to a
    fifth, then the first.

    Args:
        tasks: the heads.
        labels: of the labelled frames by task, uint8 ``[N, ...]``, 255 = not annotated.
        positions: ``[N]`` in the frame index, in the order of time within a video.
        patients: of each frame, ``[N]``.
        videos: of each frame, ``[N]``.

    Raises:
        ValueError: fewer than two frames are labelled.
    """
    if len(positions) < 2:
        raise ValueError(
            "trainer.until=plateau: no frame is in the split val, so some of the labelled frames are to be held out, "
            f"and there is {len(positions)}; label more at first (loop.initial), name patients or videos for val, or "
            "set trainer.until=steps"
        )
    kinds = {"patient": np.asarray(patients), "video": np.asarray(videos)}
    kind = next((name for name, group in kinds.items() if len(np.unique(group)) > 1), "stretch")
    groups = [] if kind == "stretch" else [kinds[kind]]
    parts = min(PARTS, len(np.unique(groups[0])) if groups else len(positions))
    fold = assign_folds(positions, groups, parts)  # [N]
    seen = [_classes(tasks, {t: take(y, np.flatnonzero(fold == k)) for t, y in labels.items()}) for k in range(parts)]

    def merit(part: int) -> tuple[int, float]:
        rest = set().union(*(found for k, found in enumerate(seen) if k != part))
        return len(seen[part] & rest), -abs(float((fold == part).mean()) - 1 / PARTS)

    rows = fold == max((k for k in range(parts) if (fold == k).mean() <= 1 / 2), key=merit)
    return HeldOut(rows, _in_words(rows, kind, kinds))


def _classes(tasks: Sequence[Task], labels: Mapping[str, SomeLabels]) -> set[tuple[str, str]]:
    counts = class_counts(tasks, labels)
    return {(task, name) for task, some in counts.items() for name, count in some.items() if count}


def _in_words(rows: npt.NDArray[np.bool_], kind: str, kinds: Mapping[str, npt.NDArray[np.str_]]) -> str:
    """``12 of 60 labelled frames: patients p1, p2``."""
    many = f"{int(rows.sum())} of {len(rows)} labelled frames"
    if kind == "stretch":
        return f"{many}: a stretch of video {kinds['video'][0]}"
    names = sorted({str(name) for name in kinds[kind][rows]})
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{many}: {kind}{'' if len(names) == 1 else 's'} {listed}"
