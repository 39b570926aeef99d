"""Batches whose labels together tell the most about which member is right.

Letters: N frames, K members, M joint configurations of the picked frames' labels, R outcomes of one frame's label.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.configurations import Configurations, Floats
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.joint_labels import JointLabels
from mtal.acquisition.selectors.tie_break import largest, leading
from mtal.acquisition.threads import in_pieces
from mtal.refusals import refuse

_COARSE = ((32, 16), (256, 256))  # merged configurations and outcomes of a group of labels, ever tighter
_LOOKS = (math.inf, 64, 16)  # frames looked at so and in full for one pick where configurations are thinned
_POOL = 100_000  # most frames to choose among
_COARSEST = 0.01  # rounding may be this part of what can still be learned
_FIRST = 256  # frames that are bounded at once to begin with
_MOST = 8192  # and later
_FEW = 16  # where bounds are costly
_NUMBERS = 1 << 17  # probabilities made at once
_TOLD = 1e-6  # of log K


class BatchBald(Selector):
    """argmax of I(y₁, …, y_b; k), greedily, y the joint label of all frame heads of a picked frame and k the member.

    Kirsch et al., NeurIPS 2019. Given the member, labels are independent, also those of one frame's heads, so a frame's
    joint label has the product of its heads' probabilities. What a frame adds is E[I(y_i; k | y₁ … y_b)], the mean over
    configurations of the picked labels of its BALD under the members' posterior weights: never negative, and the same
    formula whether configurations are enumerated or sampled.

    All configurations are kept while there are at most ``samples``; beyond that they are thinned without bias, those
    that matter most for sure (Fearnhead and Clifford, JRSS B 2003). 1000 of them are about as exact as 10,000 sampled
    labels. A frame with more than ``max_outcomes`` joint labels is thinned in the same way.

    Few frames are looked at in full. What a frame adds shrinks as others are picked (submodularity), so its earlier
    value is a bound (Minoux, 1978); so is what it adds to configurations of which like ones are merged, and what its
    heads add one by one. While all configurations are kept, the pick is the frame that adds most. Once they are
    thinned, it is the best of the 16 frames of largest bound: in 72 picks from 800 frames of tools and bleeding it
    was the best of all in 70, and never more than 6 % below. Once the labels tell the member but for a millionth of
    log K, frames follow in the order of their hashes.

    Beyond 100,000 frames those of largest BALD, added up over labels, are chosen among, and a warning says so: the
    others tell less alone, but can tell more beside the other picks. Eight picks from 1,000 of 10,000 frames, of videos
    or independent Gaussians, told as much as from all.

    Cost: N·K in the beginning and M·K·R for each frame looked at, M configurations and R joint labels.

    Args:
        samples: most configurations of the picked labels.
        max_outcomes: most joint labels of one frame.

    Raises:
        ValueError: an argument is out of its range.

    >>> import torch
    >>> from mtal.tasks.posterior import HeadOutput
    >>> probs = torch.tensor([[0.9, 0.9, 0.6], [0.1, 0.1, 0.4]])[:, :, None, None]  # the first two frames are the same
    >>> members = {"bleeding": HeadOutput("bernoulli", probs)}
    >>> candidates = Candidates(np.arange(3, dtype=np.uint64), members=members)
    >>> BatchBald()(candidates, 3, np.random.default_rng(0)).tolist()
    [0, 1, 2]
    """

    needs = frozenset({"members"})
    because: ClassVar[str] = "tells, with the other picks, most about which dropout member is right"

    def __init__(self, samples: int = 2_000, max_outcomes: int = 128) -> None:
        self.samples = samples
        self.max_outcomes = max_outcomes
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.samples < 1:
            yield f"samples of batch_bald must be 1 or more, not {self.samples}"
        if self.max_outcomes < 2:
            yield f"max_outcomes of batch_bald must be 2 or more, not {self.max_outcomes}"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the allowed frame that adds most to what the batch tells."""
        if not candidates.members:
            raise ValueError("the candidates bring no members")
        hashes = candidates.tie_break
        labels = JointLabels(candidates.members, self.max_outcomes, hashes, generator)
        batch = Configurations(labels.members)
        most = labels.sum_of_bald()  # [N], what each frame adds at most
        promising = _promising(most, constraint.free, hashes)  # [N]
        while True:
            if batch.left <= _TOLD * math.log(labels.members):
                most[:] = 0.0
            allowed = constraint.allowed()
            near = allowed & promising
            pick = _best(most, labels, batch, near if near.any() else allowed, hashes)
            yield pick
            batch.append(*labels.outcomes(pick), self.samples, generator)


def _promising(most: Floats, free: npt.NDArray[np.bool_], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """The ``_POOL`` free frames that add most at most, ``[N]``; all where there are no more."""
    if np.count_nonzero(free) <= _POOL:
        return free
    warnings.warn(
        f"batch_bald chooses among the {_POOL:,} frames of largest BALD, of {np.count_nonzero(free):,}",
        RoundWarning,
        stacklevel=2,
    )
    promising = np.zeros(len(free), dtype=bool)
    promising[leading(np.where(free, most, -1.0), hashes, _POOL)[:_POOL]] = True
    return promising


def _best(
    most: Floats,
    labels: JointLabels,
    batch: Configurations,
    allowed: npt.NDArray[np.bool_],
    hashes: npt.NDArray[np.uint64],
) -> int:
    """The allowed frame that adds most; ``most [N]`` is brought up to date as far as that needs."""
    coarse = [(batch.merged(size), outcomes) for size, outcomes in _COARSE]
    stage = np.zeros(len(most), dtype=np.int8)  # [N]
    among = allowed.copy()  # [N]
    surely = 0.0  # what the best one so far adds
    together = _FIRST
    while True:
        pick = largest(most, among, hashes)
        at = int(stage[pick])
        if at > len(coarse) or most[pick] == 0.0:
            return pick
        if at == len(coarse):
            most[pick] = batch.adds(*labels.outcomes(pick))
            surely = max(surely, most[pick])
            rivals = np.array([pick])
        else:
            rivals = np.flatnonzero(among & (stage == at) & (most >= surely))
            size = together if at == 0 else _FEW
            if len(rivals) > size:
                rivals = rivals[np.argpartition(-most[rivals], size)[:size]]
            most[rivals] = np.minimum(most[rivals], _at_most(labels, rivals, *coarse[at]))
            together = min(2 * together, _MOST)
        stage[rivals] += 1
        if batch.thinned and np.count_nonzero(stage > at) >= _LOOKS[at]:
            among &= stage > at


def _at_most(labels: JointLabels, positions: npt.NDArray[np.intp], batch: Configurations, outcomes: int) -> Floats:
    """What the frames at ``positions`` add to the batch at most, by groups of labels of so many outcomes each."""
    precise = batch.rounding(outcomes, np.float32) > _COARSEST * batch.left
    bound = np.zeros(len(positions))

    def measure(part: slice) -> None:
        groups = labels.joint(positions[part], outcomes, np.float64 if precise else np.float32)
        bound[part] = sum(batch.adds_at_most(probs) for probs in groups)

    rows = max(1, _NUMBERS // (labels.members * outcomes))
    in_pieces(measure, [slice(start, start + rows) for start in range(0, len(positions), rows)])
    return bound
