"""Who runs the segments of a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mtal.models import MultiTaskModel
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work

Outcome = tuple[Segment, Exception | None]
"""A segment whose shard is there, or what went wrong."""


class Engine(Protocol):
    """Decides where :meth:`~mtal.scoring.work.Work.do` is done, and nothing else."""

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """Try each segment once, in any order; an error of one does not stop the others.

        Args:
            segments: that have no shard.
            work: what to do.
            model: on ``work.device``.
            tell: told of frames as they are done.

        Raises:
            RuntimeError: nothing can be done at all.
        """
        ...
