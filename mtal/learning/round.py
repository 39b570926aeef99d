"""A round that is to pick, and what is known when it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtal.acquisition import Evidence
from mtal.annotation import Availability
from mtal.datasets.masks import SomeLabels
from mtal.learning.reference import Reference
from mtal.learning.run_folder import RunFolder
from mtal.learning.standing import Standing


@dataclass(frozen=True)
class Round:
    """What a round that picks goes by, and where it leaves what it found.

    Args:
        number: of the round; 0 is the initial set.
        budget: frames to pick at most.
        folder: the run so far.
        path: where the round is being written.
        labelled: frames that were picked before.
        known: where the heads stand; nothing by default.
        reference: earlier scores that statistics are taken from; ``None`` for those of the candidates.
        timings: seconds of each stage are added to it.
        budget_s: annotator seconds to spend at most; ``None`` for no such limit.
        budget_answers: heads' answers to ask for at most; ``None`` for no such limit.
        labels: of the frames picked before, by task; ``None`` counts all of their sites.
        availability: what can be asked of the pool; everything where ``None``.
        shards: where the scores of segments lie until the round has picked; ``None`` for nowhere.
        labelled_elsewhere: the patient of each labelled frame of a recording that is not in the pool, for a quota.
    """

    number: int
    budget: int
    folder: RunFolder
    path: Path
    labelled: Sequence[str] = ()
    known: Standing = field(default_factory=lambda: Standing(Evidence({})))
    reference: Reference | None = None
    timings: dict[str, float] = field(default_factory=dict)
    budget_s: float | None = None
    budget_answers: int | None = None
    labels: Mapping[str, SomeLabels] | None = None
    availability: Availability | None = None
    shards: Path | None = None
    labelled_elsewhere: Sequence[str] = ()
