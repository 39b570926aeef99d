"""What an annotator says of one head of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Said(StrEnum):
    """What a row of the label store says of one head of one frame.

    ``LABELLED`` holds a label, "nothing there" among them. ``NOT_ANNOTATED`` says that somebody looked and cannot tell,
    ``UNUSABLE`` that the frame is good for nothing, ``WITHDRAWN`` that the annotator has taken all back, and ``ASKED``
    that an answer is owed.
    """

    ASKED = "asked"
    LABELLED = "labelled"
    NOT_ANNOTATED = "not_annotated"
    UNUSABLE = "unusable"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Answer:
    """One head of one frame, as one annotator has it.

    Args:
        frame_id: of the frame.
        task: the head.
        said: what is told.
        label: uint8 ``[C]``, ``[]``, ``[H, W]`` or ``[C, H, W]`` as :class:`~mtal.datasets.label_map.LabelMap` has it,
            masks at the frame's own size; ``None`` where there is none.
        annotator: who answers.
        seconds: how long it took; NaN where nobody knows.
        tool: by what it was made.
        request: what it answers.
        source: what it was read from, as a mark by which the same answer is known again.
        time: when it was given.

    Raises:
        ValueError: it says that there is a label and has none, or the other way round.
    """

    frame_id: str
    task: str
    said: Said
    label: npt.NDArray[np.uint8] | None = None
    annotator: str = ""
    seconds: float = float("nan")
    tool: str = ""
    request: str = ""
    source: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        if (self.label is not None) != (self.said is Said.LABELLED):
            raise ValueError(f"{self.task} of {self.frame_id!r}: an answer that is {self.said} and label={self.label}")


def now() -> str:
    """The time as answers have it.

    >>> len(now()) == len("2031-05-17T09:30:00.123+00:00")
    True
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds")
