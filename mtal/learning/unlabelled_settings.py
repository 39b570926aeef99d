"""What training may learn from frames that nobody labelled: nothing, unless it is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mtal.learning.optical_flow import OpticalFlow, Propagator
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse


@dataclass(frozen=True)
class PseudoLabelling:
    """Learn from what the last round's model is sure of, see :mod:`mtal.learning.pseudo_labels`.

    Args:
        weight: of their loss; 0 for no pseudo-labels.
        threshold: calibrated probability from which an answer counts.
        share: unlabelled frames in a batch for each labelled one.
        frames: how many are drawn from the pool in each round, at most.

    Raises:
        ValueError: a value is out of range.
    """

    weight: float = 0.0
    threshold: float = 0.95
    share: float = 1.0
    frames: int = 1000

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from _wrong_weight("pseudo_labels", self.weight)
        yield from _wrong_share("pseudo_labels", self.share)
        if not (is_number(self.threshold) and 0.5 < self.threshold <= 1):
            yield f"trainer.pseudo_labels.threshold must be a number above 0.5 and at most 1, not {self.threshold!r}"
        yield from _wrong_count("pseudo_labels.frames", self.frames)

    @property
    def is_on(self) -> bool:
        """Whether there are to be any."""
        return self.weight > 0


@dataclass(frozen=True)
class Propagation:
    """Learn from masks that are carried to the neighbours of a labelled frame, see :mod:`mtal.learning.propagation`.

    Args:
        weight: of their loss; 0 for no propagation.
        share: such frames in a batch for each labelled one.
        neighbours: frames of the pool on each side that a mask is carried to, at most.
        within_s: seconds from one frame to the next beyond which it is carried no further.
        by: what carries it.

    Raises:
        ValueError: a value is out of range.
    """

    weight: float = 0.0
    share: float = 1.0
    neighbours: int = 2
    within_s: float = 1.0
    by: Propagator = field(default_factory=OpticalFlow)

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from _wrong_weight("propagation", self.weight)
        yield from _wrong_share("propagation", self.share)
        yield from _wrong_count("propagation.neighbours", self.neighbours)
        if not (is_number(self.within_s) and self.within_s > 0):
            yield f"trainer.propagation.within_s must be a number above 0, not {self.within_s!r}"
        if not callable(self.by):
            yield (
                f"trainer.propagation.by must be something that carries masks, such as _target_: "
                f"mtal.learning.optical_flow.OpticalFlow, not {self.by!r}"
            )

    @property
    def is_on(self) -> bool:
        """Whether there is to be any."""
        return self.weight > 0


def _wrong_weight(of: str, weight: object) -> Iterator[str]:
    if not (is_number(weight) and weight >= 0):
        yield f"trainer.{of}.weight must be a number of at least 0, and 0 for none, not {weight!r}"


def _wrong_share(of: str, share: object) -> Iterator[str]:
    if not (is_number(share) and share > 0):
        yield f"trainer.{of}.share must be a number above 0, not {share!r}"


def _wrong_count(of: str, count: object) -> Iterator[str]:
    if not (is_whole(count) and count >= 1):
        yield f"trainer.{of} must be a whole number of at least 1, not {count!r}"
