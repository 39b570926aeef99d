"""Segments in actors of Ray: on this machine, or on all of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from mtal.models import MultiTaskModel
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse
from mtal.scoring.engine import Outcome
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work

if TYPE_CHECKING:
    from mtal.scoring.ray_crew import Crew

_NOT_SEEN = "an actor has scored it, and no shard is seen; is the run folder on a shared disk?"


class RayActors:
    """Each actor has the model of the round, scores one segment at a time and writes its shard to the shared disk.

    An actor or a node that dies costs the segment that it was at. Actors live as long as this process; those of a
    cluster that has no room for another end with the pass, for other runs may wait for it.

    Args:
        address: of a cluster that runs, such as ``auto`` for the one that this machine is part of; ``None`` starts Ray
            here, for as long as this process lives.
        actors: how many; ``None`` for as many as there is room for.
        cpus: of each, and threads of its model; ``None`` for as many threads as the model has in this process, so that
            scores are the same to the bit.
        gpus: of each, or a part of one; ``None`` for one where this process uses one.

    Raises:
        ValueError: a number is out of range.
        RuntimeError: Ray is not installed.
    """

    def __init__(
        self,
        address: str | None = None,
        actors: int | None = None,
        cpus: int | None = None,
        gpus: float | None = None,
    ) -> None:
        self.address, self.actors, self.cpus, self.gpus = address, actors, cpus, gpus
        refuse(self._faults())
        if find_spec("ray") is None:
            raise RuntimeError("scoring=ray needs Ray, which is not installed: pip install -e '.[ray]'")
        self._crew: Crew | None = None

    def _faults(self) -> Iterator[str]:
        for name, value in (("actors", self.actors), ("cpus", self.cpus)):
            if value is not None and not (is_whole(value) and value >= 1):
                yield f"scoring.{name} must be a whole number of at least 1, or null, not {value!r}"
        gpus = self.gpus
        if gpus is not None and not (is_number(gpus) and gpus >= 0):
            yield f"scoring.gpus must be a number of at least 0, or null, not {gpus!r}"
        elif gpus is not None and gpus > 1 and gpus % 1:
            yield f"scoring.gpus must be a part of one GPU or a whole number of them, not {gpus!r}"

    def runs_on(self, device: torch.device, threads: int) -> tuple[str, int]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        return "cuda" if self._gpus(device) else "cpu", self.cpus or threads

    def _gpus(self, device: torch.device) -> float:
        return float(device.type == "cuda") if self.gpus is None else float(self.gpus)

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        from mtal.scoring.ray_crew import stops_as_they_are  # noqa: PLC0415  Ray is an extra

        if segments:
            with stops_as_they_are():
                yield from self._score(segments, work, model, tell)

    def _score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        from mtal.scoring.ray_crew import Crew, start  # noqa: PLC0415

        job = start(self.address)
        about = (job, self.cpus or work.what.threads, self._gpus(work.device))
        if self._crew is None or self._crew.about != about:
            self._crew = Crew(*about, shared=self.address is not None)
        for segment, error in self._crew.score(segments, work.packed(model), self.actors, work.shards.key):
            lost = None if error or work.shards.has(segment) else RuntimeError(_NOT_SEEN)
            tell(0 if error or lost else len(segment))
            yield segment, error or lost
