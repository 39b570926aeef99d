"""Masks of labelled frames, carried to the frames beside them that nobody labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import Labels, Masks, SomeLabels, labelled_rows
from mtal.frames.cache import FrameArray
from mtal.learning.derived_labels import DerivedLabels
from mtal.learning.unlabelled_settings import Propagation
from mtal.scoring.neighbours import NOBODY, neighbours
from mtal.tasks.task import Task

NAME = "propagated"


def propagated(
    tasks: Sequence[Task],
    frames: FrameArray,
    table: pd.DataFrame,
    positions: npt.NDArray[np.int64],
    labels: Mapping[str, SomeLabels],
    open_to: npt.NDArray[np.bool_],
    settings: Propagation,
) -> DerivedLabels:
    """Masks of neighbours, each from the labelled frame that is nearest to it in time.

    A mask goes from frame to frame of a recording, forward and backward, and no further than to the next frame that is
    labelled or not open, or lies more than ``within_s`` away. Tags are not carried: a tool may have come into view.

    Args:
        tasks: the heads, of which those with masks count.
        frames: pictures of all frames, at the size of the masks.
        table: rows of the frame index.
        positions: ``[L]`` labelled frames.
        labels: of these by task, 255 = not annotated.
        open_to: which frames may be given a label, ``[N]``.
        settings: how far, and by what.

    Raises:
        ValueError: what carries them gives masks of another shape or type.
    """
    heads = [task for task in tasks if task.support == "pixel"]
    masked = {task.name: labelled_rows(labels[task.name]) for task in heads}
    times = table["time_s"].to_numpy(dtype=np.float64)
    beside = neighbours(table, settings.neighbours, settings.neighbours)
    nearest: dict[int, tuple[float, int, dict[str, Labels]]] = {}
    for row, at in enumerate(positions.tolist()):
        of_frame = {task.name: labels[task.name][[row]][0] for task in heads if masked[task.name][row]}
        for way in _ways(at, beside, times, open_to, settings) if of_frame else ():
            pictures = frames[np.array([at, *way])]
            carried = {task: _carried(settings, pictures, mask) for task, mask in of_frame.items()}
            for k, place in enumerate(way):
                away = abs(float(times[place] - times[at]))
                if place not in nearest or away < nearest[place][0]:
                    nearest[place] = away, at, {task: masks[k] for task, masks in carried.items()}
    places = sorted(p for p, (_, _, masks) in nearest.items() if any((m != IGNORE).any() for m in masks.values()))
    rows = table.iloc[places]
    return DerivedLabels(
        name=NAME,
        frame_ids=rows["frame_id"].tolist(),
        positions=np.array(places, dtype=np.int64),
        videos=rows["video"].to_numpy(),
        targets={task.name: _targets(task, [nearest[p][2] for p in places], labels[task.name]) for task in tasks},
        weight=settings.weight,
        share=settings.share,
        of=np.array([nearest[p][1] for p in places], dtype=np.int64),
        told={"by": type(settings.by).__name__},
    )


def _ways(
    at: int,
    beside: npt.NDArray[np.int64],
    times: npt.NDArray[np.float64],
    open_to: npt.NDArray[np.bool_],
    settings: Propagation,
) -> Iterator[list[int]]:
    """Positions of the frames that are gone through before and after one, from the nearest on."""
    before, after = np.split(beside[at], 2)
    for places in (before[::-1].tolist(), after.tolist()):
        way: list[int] = []
        for place in places:
            if place == NOBODY or not open_to[place]:
                break
            if abs(times[place] - times[way[-1] if way else at]) > settings.within_s:
                break
            way.append(place)
        if way:
            yield way


def _carried(settings: Propagation, pictures: npt.NDArray[np.uint8], mask: Labels) -> Labels:
    carried = settings.by(pictures, mask)
    shape = (len(pictures) - 1, *mask.shape)
    if carried.shape != shape or carried.dtype != np.uint8:
        raise ValueError(
            f"trainer.propagation.by={type(settings.by).__name__} gave masks {list(carried.shape)} of {carried.dtype}; "
            f"they must be {list(shape)} of uint8"
        )
    return carried


def _targets(task: Task, masks: Sequence[Mapping[str, Labels]], like: SomeLabels) -> SomeLabels:
    if task.support == "frame":
        return np.full((len(masks), *like.shape[1:]), IGNORE, dtype=np.uint8)
    return Masks([some.get(task.name) for some in masks], like.shape[1:])
