"""The frames to choose from, beside those of the run that they must be told apart from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mtal.acquisition import Acquisition
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.frames.image_folder import folder_source, parse_folder_source
from mtal.frames.index import FrameIndex, frame_id
from mtal.learning.standing import needs_out_of_fold

NEEDS_NONE = "strategy=mean or acquisition/selector=badge"
"""Choices that never look at a labelled frame, for messages."""


@dataclass(frozen=True)
class Recordings:
    """Frames of recordings, none of them labelled, and labelled frames of a run.

    Attributes:
        dataset: all of them; only the frame index and the label maps are of use.
        labelled: identities in it of the labelled frames, in the order of the run.
        elsewhere: the patient of each labelled frame of other recordings, as the run calls them.
    """

    dataset: SurgicalDataset
    labelled: list[str]
    elsewhere: tuple[str, ...] = ()

    @property
    def candidates(self) -> int:
        """Number of frames to choose from."""
        return len(self.dataset.index.pool) - len(self.labelled)


def with_labelled(dataset: SurgicalDataset, labelled: pd.DataFrame, acquisition: Acquisition) -> Recordings:
    """Put the labelled frames of a run beside the recordings.

    A labelled frame of one of the recordings is told by its file: it is not chosen again, and keeps its distance in
    time. Labelled frames of other recordings are there only if ``acquisition`` looks at them; of each
    there is the name of the patient, which for a quota is the one of the same name among the recordings.

    Args:
        dataset: the recordings.
        labelled: rows of the run's frame index.
        acquisition: says whether it looks at labelled frames.

    Raises:
        FileNotFoundError: it does, and they are gone.
    """
    table = dataset.index.table
    named = {_real(s): (v, s, p) for v, s, p in _videos(table)}
    looks = looks_at_labelled(acquisition)
    rows: list[dict[str, Any]] = []
    elsewhere = labelled.loc[~labelled["source"].map(_real).isin(named), "patient"].tolist()
    for row in labelled.astype(object).to_dict("records"):
        path = _real(row["source"])
        if path in named:
            video, source, patient = named[path]
        elif not looks:
            continue
        elif not parse_folder_source(row["source"]).folder.exists():
            raise FileNotFoundError(
                f"{row['source']} is gone, but {looks} looks at the {len(labelled)} labelled frames of the run: "
                f"put it back, or choose what needs none of them, such as {NEEDS_NONE}"
            )
        else:
            video, source, patient = f"labelled:{row['video']}", row["source"], f"labelled:{row['patient']}"
        place = {"frame_id": frame_id(video, row["frame"]), "patient": patient, "video": video, "source": source}
        rows.append({"frame": row["frame"], "time_s": row["time_s"], "split": "pool", **place})
    known = [row["frame_id"] for row in rows]
    frames = pd.concat([table[~table["frame_id"].isin(known)], pd.DataFrame(rows, columns=table.columns)])
    unlabelled = pd.DataFrame({"frame_id": frames["frame_id"]} | {m.task: None for m in dataset.label_maps})
    labels = LabelTable(unlabelled, dataset.label_maps)
    found = SurgicalDataset(dataset.name, FrameIndex(frames), dataset.label_maps, labels)
    return Recordings(found, known, tuple(elsewhere))


def looks_at_labelled(acquisition: Acquisition) -> str:
    """What of ``acquisition`` looks at the pixels of labelled frames, in words; ``""`` if nothing does."""
    if not acquisition.reads_the_pool:
        return ""
    signals = [
        n for n, s in acquisition.measurement.signals.items() if {"labelled_features", "labelled_posterior"} & s.needs
    ]
    if signals:
        return signals[0]
    if acquisition.selector_needs & {"features", "fisher", "shown"}:
        return type(acquisition.selection.selector).__name__
    if not needs_out_of_fold(acquisition):
        return ""
    if acquisition.measurement.class_weights == "headroom":
        return "class_weights=headroom"
    return (
        "calibration" if acquisition.measurement.calibrate else f"weighing by {type(acquisition.say.weights).__name__}"
    )


def _real(source: str) -> str:
    """A recording's file or folder by its own path, whatever link leads to it."""
    place = parse_folder_source(source)
    return folder_source(*place._replace(folder=Path(os.path.realpath(place.folder))))


def _videos(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(table[["video", "source", "patient"]].drop_duplicates().itertuples(index=False, name=None))


def relative_file(source: str, root: Path | str) -> str:
    """The file of a video, or the folder of pictures, as somebody who has the folder of recordings finds it."""
    return os.path.relpath(parse_folder_source(source).folder, Path(root).resolve())
