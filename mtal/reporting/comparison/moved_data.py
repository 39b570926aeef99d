"""Runs whose data moved in between are of the same data: content is compared, not the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mtal.free_keys import PLACES
from mtal.reporting.comparison.alike import frozen
from mtal.reporting.run_reader import Run

_PLACES = [key.removeprefix("data.") for key in PLACES if key.startswith("data.")]
_LABELS = "labels.parquet"
"""Digests of labels by frame: of what a run is tested on in its folder, of what it has learnt from in each round."""


def at_one_place(runs: Sequence[Run]) -> list[Run]:
    """``runs``, those of data that moved said to be of the place where the first of them found it.

    Two places hold the same data where frames, patients and splits are the same and no frame has another label than in
    the other, of those that the runs were tested on or have learnt from. Runs that keep no labels stay apart.
    """
    by_place: dict[str, list[Run]] = {}
    for run in runs:
        by_place.setdefault(frozen([_data(run, places=True), _data(run, places=False)]), []).append(run)
    found: list[list[Run]] = []
    place_of: dict[Path, dict[str, Any]] = {}
    for members in by_place.values():
        same = next((others for others in found if _same_data(others, members)), None)
        if same is None:
            found.append(members)
        for run in members:
            place_of[run.path] = _data((same or members)[0], places=True)
    return [_placed(run, place_of[run.path]) for run in runs]


def _data(run: Run, *, places: bool) -> dict[str, Any]:
    """The options of a run's data that are places, or the others."""
    return {key: value for key, value in run.config.get("data", {}).items() if (key in _PLACES) == places}


def _placed(run: Run, place: dict[str, Any]) -> Run:
    if _data(run, places=True) == place:
        return run
    return replace(run, config={**run.config, "data": {**_data(run, places=False), **place}})


def _same_data(one: Sequence[Run], other: Sequence[Run]) -> bool:
    if _data(one[0], places=False) != _data(other[0], places=False) or not _same_frames(one[0], other[0]):
        return False
    labels = [_labels(members) for members in (one, other)]
    if any(known.empty for known in labels) or list(labels[0]) != list(labels[1]):
        return False
    both = labels[0].index.intersection(labels[1].index)
    return len(both) > 0 and labels[0].loc[both].equals(labels[1].loc[both])


def _same_frames(one: Run, other: Run) -> bool:
    frames = [run.frames.drop(columns="source", errors="ignore") for run in (one, other)]
    return frames[0].equals(frames[1])


def _labels(runs: Sequence[Run]) -> pd.DataFrame:
    """What the runs keep of labels: a row for each frame and a column for each head; empty where one keeps nothing."""
    files = [file for run in runs for file in (run.path / _LABELS, *(r.path / _LABELS for r in run.rounds))]
    if not all(file.is_file() for file in files):
        return pd.DataFrame()
    kept = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True).drop(columns="look")
    return kept.drop_duplicates("frame_id").set_index("frame_id")
