"""Whether a head that answers yes or no finds what happens in a video, and after how many seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtal.datasets.label_map import IGNORE

DENSE_S = 2.0
"""Frames of a video that lie no farther apart show how an event begins and ends."""
_FRAME_S = 0.05  # by which the nearest frame may miss: 2.002 s at 29.97 frames a second


@dataclass(frozen=True)
class Events:
    """Events of one head in some videos; an event is a run of positive frames.

    Attributes:
        found: events in which at least one frame was said to be positive.
        missed: the others.
        seconds_to_detection: median over the events found, from their first frame to the first said to be positive;
            ``None`` where none was found.
        false_alarms: runs of frames said to be positive, none of which is.
        seconds: looked at.
    """

    found: int
    missed: int
    seconds_to_detection: float | None
    false_alarms: int
    seconds: float


def find_events(
    probs: npt.NDArray[np.float64],
    labels: npt.NDArray[np.uint8],
    videos: Sequence[str],
    times_s: npt.NDArray[np.float64],
    threshold: float = 0.5,
) -> Events | None:
    """Events among frames that are dense: stretches of a video in which annotated frames follow within ``DENSE_S``.

    Args:
        probs: ``[N]`` probability of the class.
        labels: ``[N]`` 0, 1 or 255; frames that nobody annotated are passed over.
        videos: ``[N]``.
        times_s: ``[N]`` time of each frame in its video, seconds.
        threshold: a frame is said to be positive above it.

    Returns:
        ``None`` where no two frames are dense.

    >>> labels = np.array([0, 1, 1, 0, 0], dtype=np.uint8)
    >>> find_events(np.array([0.1, 0.2, 0.9, 0.1, 0.7]), labels, ["video"] * 5, np.arange(5.0))
    Events(found=1, missed=0, seconds_to_detection=1.0, false_alarms=1, seconds=4.0)
    """
    names = np.asarray(videos)
    kept = np.flatnonzero(labels != IGNORE)
    kept = kept[np.lexsort((times_s[kept], names[kept]))]
    time = times_s[kept]
    breaks = (names[kept][1:] != names[kept][:-1]) | (np.diff(time) > DENSE_S + _FRAME_S)
    stretches = [s for s in np.split(np.arange(len(kept)), np.flatnonzero(breaks) + 1) if len(s) > 1]
    if not stretches:
        return None
    waited: list[float] = []
    missed = false_alarms = 0
    for stretch in stretches:
        true, said = labels[kept[stretch]] == 1, probs[kept[stretch]] > threshold
        for run in _runs(true):
            if said[run].any():
                waited.append(float(time[stretch[run[said[run]][0]]] - time[stretch[run[0]]]))
            else:
                missed += 1
        false_alarms += sum(not true[run].any() for run in _runs(said))
    seconds = sum(float(time[s[-1]] - time[s[0]]) for s in stretches)
    wait = float(np.median(waited)) if waited else None
    return Events(len(waited), missed, wait, false_alarms, seconds)


def _runs(yes: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Positions of each unbroken run of ``True``."""
    at = np.flatnonzero(yes)
    return [run for run in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if len(run)]
