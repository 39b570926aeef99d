"""Where the heads stand when a round picks: kept with the round, so that a resumed run knows the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from mtal.acquisition import Acquisition, Evidence, Headroom, PastRound, fit_temperature
from mtal.datasets.masks import SomeLabels
from mtal.learning.out_of_fold import OutOfFold
from mtal.learning.picks import annotated, class_counts
from mtal.learning.presence import LabelledPresence, labelled_presence
from mtal.learning.run_folder import RunFolder
from mtal.tasks.task import Task

EVIDENCE = "evidence.json"


@dataclass(frozen=True)
class Standing:
    """What is known of each head, and what follows from it for one round.

    Attributes:
        evidence: what the heads' weights are made of.
        silent: heads without a label so far.
        class_weights: task to ``[C]`` weights for aggregations that weigh classes; empty for none.
        temperatures: task to the temperature of its posterior; empty for none.
        presence: which classes labelled frames show; empty where nobody asks.
    """

    evidence: Evidence
    silent: tuple[str, ...] = ()
    class_weights: Mapping[str, Tensor] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    presence: LabelledPresence = field(default_factory=LabelledPresence)

    def with_gradient_length(self, lengths: Mapping[str, float]) -> Standing:
        """The same with what only the pass over the pool can tell."""
        return replace(self, evidence=replace(self.evidence, gradient_length=lengths or None))


def needs_out_of_fold(acquisition: Acquisition) -> bool:
    """Whether anything asks for cross-validation on the labelled frames."""
    by_weights = acquisition.say.weights.needs & {"out_of_fold", "history"}
    by_class = "shown" in acquisition.selector_needs or acquisition.measurement.class_weights == "headroom"
    return bool(by_weights) or by_class or acquisition.measurement.calibrate


def standing(
    acquisition: Acquisition,
    tasks: Sequence[Task],
    labels: Mapping[str, SomeLabels],
    validated: OutOfFold | None,
    past: tuple[PastRound, ...],
) -> Standing:
    """Evidence from the labelled frames.

    Args:
        acquisition: says what is asked for.
        tasks: the heads.
        labels: of the labelled frames, by task.
        validated: cross-validation on them; ``None`` where nothing asks for it.
        past: earlier rounds.
    """
    scores = None if validated is None else validated.scores
    classes = {t.name: t.classes for t in tasks}
    # over all classes in every round: one that is first seen later must not lower the score of its head
    means = {task: sum(found.values()) / len(classes[task]) for task, found in (scores or {}).items() if found}
    evidence = Evidence(
        classes=classes,
        out_of_fold=scores,
        counts=class_counts(tasks, labels),
        history=None if validated is None else (*past, PastRound(len(next(iter(labels.values()))), means)),
    )
    temperatures = {}
    if acquisition.measurement.calibrate and validated is not None:
        temperatures = {t: fit_temperature(head, validated.targets[t]) for t, head in validated.heads.items()}
    shown = LabelledPresence()
    if "shown" in acquisition.selector_needs:
        shown = labelled_presence(tasks, labels, validated, temperatures)
    return Standing(
        evidence,
        silent=tuple(task for task, known in annotated(tasks, labels).items() if not known),
        class_weights=_class_weights(acquisition, evidence),
        temperatures=temperatures,
        presence=shown,
    )


def past_rounds(folder: RunFolder) -> tuple[PastRound, ...]:
    """What the complete rounds of a run knew, oldest first."""
    rounds = []
    for number in range(folder.complete_rounds()):
        file = folder.round_path(number) / EVIDENCE
        if file.exists():
            content = json.loads(file.read_text())
            rounds.append(PastRound(content["labelled"], content["scores"], content["weights"]))
    return tuple(rounds)


def write_standing(path: Path, known: Standing, weights: Mapping[str, float], labelled: int) -> None:
    """``evidence.json``: what a later round, and a reader, needs to know of this one.

    Args:
        path: folder of the round.
        known: where the heads stood when it picked.
        weights: task to the say that it had, 0 for a silent one.
        labelled: number of frames that were labelled before it picked.
    """
    evidence = known.evidence
    content = {
        "labelled": labelled,
        "scores": dict(evidence.history[-1].scores) if evidence.history else {},
        "out_of_fold": evidence.out_of_fold,
        "gradient_length": evidence.gradient_length,
        "weights": dict(weights),
        "class_weights": {task: w.tolist() for task, w in known.class_weights.items()},
        "temperatures": dict(known.temperatures),
        "trust": known.presence.trust,
    }
    (path / EVIDENCE).write_text(json.dumps(content, indent=1))


def _class_weights(acquisition: Acquisition, evidence: Evidence) -> dict[str, Tensor]:
    if acquisition.measurement.class_weights == "equal":
        return {}
    if acquisition.measurement.class_weights == "headroom":
        return Headroom().class_weights(evidence)
    weights = {}
    for task, names in evidence.classes.items():
        shown = torch.tensor([(evidence.counts or {})[task][name] for name in names], dtype=torch.float64)  # [C]
        inverse = 1 / shown.clamp(min=1)  # a class that was never shown counts like one that was shown once
        weights[task] = inverse / inverse.mean()
    return weights
