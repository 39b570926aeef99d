"""Engines that do to segments what clusters do: share them out, mix them up, lose them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mtal.models import MultiTaskModel
from mtal.scoring.engine import Outcome
from mtal.scoring.local import Local
from mtal.scoring.segments import Segment, Videos
from mtal.scoring.work import Tell, Work, Worker


class Short(Videos):
    """Videos in many small segments."""

    def segments(self, most: int = 6, fewest: int = 4) -> list[Segment]:
        return super().segments(most, fewest)


class Partitioned(Local):
    """Segments in any order, each scored by one of several workers with a model of its own."""

    def __init__(self, workers: int, seed: int = 0) -> None:
        self.workers, self.seed = workers, seed
        self.scored: list[Segment] = []

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """Each once."""
        packed = work.packed(model)
        workers = [Worker(packed, torch.device("cpu")) for _ in range(self.workers)]
        for k, at in enumerate(np.random.default_rng(self.seed).permutation(len(segments)).tolist()):
            workers[k % self.workers].do(segments[at])
            self.scored.append(segments[at])
            yield segments[at], None


class Faulty(Local):
    """Fails segments that hold certain rows, so many times each."""

    def __init__(self, **times: int) -> None:
        self.times = {int(row.removeprefix("row")): n for row, n in times.items()}
        self.tried: Counter[Segment] = Counter()

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """Each once."""
        for segment in segments:
            self.tried[segment] += 1
            for row, times in self.times.items():
                if row in range(segment.start, segment.stop) and times > 0:
                    self.times[row] -= 1
                    yield segment, OSError(f"row {row} can't be read")
                    break
            else:
                work.do(segment, model, work.device)
                yield segment, None
