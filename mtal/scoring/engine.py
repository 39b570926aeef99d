"""Who runs the segments of a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from mtal.models import MultiTaskModel
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work

Outcome = tuple[Segment, Exception | None]
"""A segment whose shard is there, or what went wrong."""


class Engine(Protocol):
    """Decides where :meth:`~mtal.scoring.work.Work.do` is done, and nothing else."""

    def runs_on(self, device: torch.device, threads: int) -> tuple[str, int]:
        """The kind of device, and on how many threads, the model runs: in the last bits scores depend on both.

        Args:
            device: of the process that asks.
            threads: that torch has there.
        """
        ...

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
