"""Which classes frames show: of labelled frames as they are labelled, of candidates as the heads say and are believed.

Letters: N candidates, M labelled frames, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition import calibrated
from mtal.acquisition.coarse import coarse_posterior
from mtal.acquisition.shown import Floats, PresenceCalibration, Shown, fit_presence, likeness, presence
from mtal.acquisition.trust import annotated_sites, trust
from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import SomeLabels, in_parts
from mtal.learning.out_of_fold import OutOfFold
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task


@dataclass(frozen=True)
class LabelledPresence:
    """What labelled frames tell of classes.

    Args:
        known: task to ``[M, C]``, see :func:`shows`.
        lines: task to what its out-of-fold answers are believed by.
        headroom: task to ``[C]``, 1 − the out-of-fold score of each class; 1 where there is none.
        trust: mean over the tasks of :func:`~mtal.acquisition.trust.trust`.
    """

    known: Mapping[str, Floats] = field(default_factory=dict)
    lines: Mapping[str, PresenceCalibration] = field(default_factory=dict)
    headroom: Mapping[str, Floats] = field(default_factory=dict)
    trust: float = 0.0


def shows(task: Task, labels: SomeLabels) -> Floats:
    """``[M, C]``, 1 where a frame shows a class and 0 where it doesn't; NaN where nobody said.

    Args:
        task: the head.
        labels: uint8 ``[M, ...]``, 255 = not annotated.
    """
    C = len(task.classes)
    parts = [np.empty((0, C))]
    for y in in_parts(labels):
        if task.family == "bernoulli":
            flat = y.reshape(*y.shape[:2], -1)  # [n, C, P]
            shown, said = (flat == 1).any(axis=2), (flat != IGNORE).any(axis=2)
        else:
            flat = y.reshape(len(y), -1)  # [n, P]
            shown = np.stack([(flat == c).any(axis=1) for c in range(C)], axis=1)
            said = np.broadcast_to((flat != IGNORE).any(axis=1)[:, None], shown.shape)
        parts.append(np.where(said, shown.astype(np.float64), np.nan))
    return np.concatenate(parts)


def labelled_presence(
    tasks: Sequence[Task],
    labels: Mapping[str, SomeLabels],
    validated: OutOfFold | None,
    temperatures: Mapping[str, float],
) -> LabelledPresence:
    """What is learnt from the labelled frames, and from what heads say of them that have not learnt from them.

    Args:
        tasks: the heads.
        labels: of the labelled frames, by task.
        validated: cross-validation on them; where it told nothing, no frame of the pool is told from another.
        temperatures: of calibrated heads.
    """
    validated = OutOfFold() if validated is None else validated
    known = {t.name: shows(t, labels[t.name]) for t in tasks}
    lines, headroom, trusts = {}, {}, []
    for task in tasks:
        C = len(task.classes)
        found = validated.scores.get(task.name, {})
        headroom[task.name] = np.array([1 - found.get(name, 0.0) for name in task.classes])
        if task.name not in validated.heads:
            nothing = np.full((len(known[task.name]), C), 0.5)
            lines[task.name] = fit_presence(nothing, known[task.name])
            continue
        head = _annotated(validated.heads[task.name], validated, task)
        if task.weight > 0 and np.isfinite(known[task.name]).any():  # one that nobody labelled can't be wrong
            trusts.append(trust(head, validated.targets[task.name]))
        head = calibrated(head, temperatures.get(task.name, 1.0))
        lines[task.name] = fit_presence(presence(coarse_posterior(head)).numpy(), known[task.name])
    return LabelledPresence(known, lines, headroom, float(np.mean(trusts)) if trusts else 0.0)


def _annotated(head: HeadOutput, validated: OutOfFold, task: Task) -> HeadOutput:
    """The out-of-fold answers at sites that annotators labelled, as those of the pool are at sites that they would."""
    return replace(head, valid=annotated_sites(validated.targets[task.name])) if task.support == "pixel" else head


def shown_by(
    tasks: Sequence[Task],
    learnt: LabelledPresence,
    posteriors: Mapping[str, HeadOutput],
    shared: npt.NDArray[np.float32],
    patients: npt.NDArray[np.int64],
    labelled_patients: npt.NDArray[np.int64],
    askable: Mapping[str, npt.NDArray[np.bool_]],
    cost_s: Floats | None = None,
) -> Shown:
    """What a selector goes by that covers classes.

    Args:
        tasks: the heads; one without weight has nothing to gain.
        learnt: from the labelled frames.
        posteriors: task to coarse posterior of the candidates.
        shared: ``[N, D]`` features of the candidates.
        patients: ``[N]`` codes.
        labelled_patients: ``[M]`` codes.
        askable: task to ``[N]``, which candidates the head can be asked for; all where not given.
        cost_s: ``[N]`` annotator seconds where a budget is of seconds.
    """
    heads = [t for t in tasks if t.weight > 0]
    everywhere = np.ones(len(patients), dtype=bool)
    expected = {
        t.name: np.where(
            askable.get(t.name, everywhere)[:, None],
            learnt.lines[t.name](presence(posteriors[t.name]).numpy()),
            np.nan,
        )
        for t in heads
    }
    return Shown(
        classes={t.name: t.classes for t in heads},
        expected=expected,
        known={t.name: learnt.known[t.name] for t in heads},
        headroom={t.name: learnt.headroom[t.name] for t in heads},
        absence=frozenset(t.name for t in heads if t.family == "bernoulli" and t.support == "frame"),
        patients=patients,
        labelled_patients=labelled_patients,
        alike=likeness(torch.from_numpy(shared), patients),
        trust=learnt.trust,
        cost_s=cost_s,
    )
