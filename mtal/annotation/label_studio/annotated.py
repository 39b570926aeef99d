"""What annotators have submitted for one frame, and what of it is new."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mtal.annotation.answers import Answer, Said
from mtal.annotation.label_studio.project import Task
from mtal.annotation.label_studio.results import Results, Told
from mtal.annotation.label_studio.tasks import Key
from mtal.datasets.label_map import LabelMap
from mtal.refusals import Refusals

TOOL = "label_studio"


@dataclass
class Known:
    """What was read of one frame before.

    Args:
        marks: (head, annotator) → mark of the answer that stands.
        spent: annotation → seconds that its answers had so far.
        tasks: (head, annotator) → where the task of the answer that stands is looked at; empty of an early version.
    """

    marks: dict[tuple[str, str], str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    tasks: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotated:
    """The tasks of one frame with their annotations; more than one where a call was sent twice.

    Args:
        key: request and frame.
        tasks: of the frame.
        names: of annotators, by their numbers.
        label_maps: of all heads.
        url_of: where a task is looked at.
    """

    key: Key
    tasks: Sequence[Task]
    names: Mapping[int, str]
    label_maps: Sequence[LabelMap]
    url_of: Callable[[int], str]

    def answers(self, known: Known, refusals: Refusals) -> Iterator[Answer]:
        """The answers that are not ``known``, and those taken back that are; what is wrong goes to ``refusals``."""
        faults = len(refusals)
        there: set[tuple[str, str]] = set()
        for annotator, (task, annotation) in self._newest().items():
            told = {head: (*what, mark_of(*what)) for head, what in self._told(task, annotation, refusals).items()}
            there |= {(head, annotator) for head in told}
            new = {head: what for head, what in told.items() if known.marks.get((head, annotator)) != what[2]}
            number = str(annotation["id"])
            spent = float(annotation.get("lead_time") or 0) - known.spent.get(
                number, 0.0
            )  # it counts from the beginning
            share = spent / len(new) if new and spent > 0 else math.nan
            for head, (said, label, mark) in new.items():
                source = f"{mark} {number} {self.url_of(task['id'])}"
                answer = Answer(self.key[1], head, said, label, annotator, share, TOOL, self.key[0], source)
                yield replace(answer, time=_when(annotation).isoformat(timespec="milliseconds"))  # of one sitting
        if len(refusals) > faults:
            return  # what cannot be understood is not what was taken back
        # an answer of a task that is gone, or of another project, was not taken back
        here = {"", *(self.url_of(task["id"]) for task in self.tasks)}
        for head, annotator in known.marks:
            if (head, annotator) not in there and known.tasks[head, annotator] in here:
                yield Answer(self.key[1], head, Said.WITHDRAWN, None, annotator, math.nan, TOOL, self.key[0])

    def _newest(self) -> dict[str, tuple[Task, Mapping[str, Any]]]:
        """Annotator → the last annotation, with its task."""
        every = [(task, annotation) for task in self.tasks for annotation in task["annotations"]]
        every.sort(key=lambda pair: (_when(pair[1]), pair[1]["id"]))
        return {self._name(annotation["completed_by"]): (task, annotation) for task, annotation in every}

    def _name(self, user: Any) -> str:
        number = user["id"] if isinstance(user, Mapping) else user
        return self.names.get(number, f"user {number}")

    def _told(self, task: Task, annotation: Mapping[str, Any], refusals: Refusals) -> dict[str, Told]:
        asked: list[str] = task["data"]["asked"]
        if annotation.get("was_cancelled"):
            return dict.fromkeys(asked, (Said.NOT_ANNOTATED, None))
        where = f"{self.url_of(task['id'])}, annotation {annotation['id']}"
        height, width = task["data"]["size"]
        results = Results(annotation["result"], {m.task: m for m in self.label_maps}, (height, width), where)
        told = results.answers(refusals)
        return {head: what for head, what in told.items() if what[0] is not Said.UNUSABLE or head in asked}


def _when(annotation: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC)


def mark_of(said: Said, label: Any) -> str:
    """By which an answer is known again."""
    digest = hashlib.blake2b(str(said).encode(), digest_size=16)
    if label is not None:
        digest.update(repr(label.shape).encode() + label.tobytes())
    return digest.hexdigest()
