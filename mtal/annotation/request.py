"""What annotators are asked for, and how far they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

Guess = Callable[[int, tuple[int, int]], Mapping[str, npt.NDArray[np.uint8]]]
"""Row of a request and (H, W) to what the model believes: task → a label as :class:`~mtal.annotation.answers.Answer`
has it."""


@dataclass(frozen=True)
class Request:
    """Frames that are to be labelled, in order of choice.

    The same frames and heads are the same request, so that asking twice is asking once.

    Args:
        name: what it is for, which begins its id.
        frames: N rows with ``frame_id, patient, video, frame, time_s, source`` and, of picks, ``utility, reason_…,
            score/…, percentile/…``.
        tasks: T heads.
        asked: which of them each frame is asked for, ``[N, T]``.
        held_out: the frames are for the test, and never learnt from.
        guess: what the model believes; ``None`` where annotators are not to be told.
    """

    name: str
    frames: pd.DataFrame
    tasks: Sequence[str]
    asked: npt.NDArray[np.bool_]
    held_out: bool = False
    guess: Guess | None = None

    @property
    def frame_ids(self) -> list[str]:
        """The frames in order of choice."""
        return self.frames["frame_id"].tolist()

    @property
    def id(self) -> str:
        """``<name>_<digits>``, with digits that depend on the frames and what is asked of each."""
        what = repr((self.frame_ids, tuple(self.tasks), np.packbits(self.asked).tobytes()))
        return f"{self.name}_{hashlib.blake2b(what.encode(), digest_size=4).hexdigest()}"

    @property
    def title(self) -> str:
        """What it is, for people."""
        return "the held-out frames" if self.held_out else f"round {int(self.name)}"


@dataclass(frozen=True)
class Status:
    """How far the annotators are with a request.

    Args:
        frames: frames that were asked for.
        done: those of which no head is owed.
        owed: head → frames of which it is owed.
        where: the answers go.
        by: annotator → frames answered.
        seconds: that the rest will take, by what the rest took so far; NaN where nobody knows.
    """

    frames: int = 0
    done: int = 0
    owed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    where: str = ""
    by: Mapping[str, int] = field(default_factory=dict)
    seconds: float = float("nan")

    def told(self, title: str) -> str:
        """One sentence on who owes what."""
        owed = "; ".join(
            f"{task} of {len(ids)} (first {', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
            for task, ids in self.owed.items()
            if ids
        )
        by = ", ".join(f"{n} by {who or 'somebody without a name'}" for who, n in self.by.items())
        left = "" if np.isnan(self.seconds) else f", about {max(1, round(self.seconds / 60))} min of work"
        return (
            f"{title}: {self.done} of {self.frames} frames are done{f' ({by})' if by else ''}. Owed{left}: {owed}. "
            f"Answer in {self.where}, then give the same command again"
        )
