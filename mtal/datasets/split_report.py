"""What a split can teach and what it can test: frames, patients and positives of every class, and what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.shared_videos import shared_videos
from mtal.datasets.threads import in_threads
from mtal.frames.index import SPLITS
from mtal.frames.picture import picture_size
from mtal.refusals import Refusals

_SIZE = (256, 256)  # of masks whose frames have no known size


@dataclass(frozen=True)
class SplitReport:
    """Counts of a data set by split.

    Args:
        name: of the data set.
        splits: one row per split that has frames: ``split, frames, videos, patients``.
        classes: one row per class: ``task, class, kind`` (``tag`` or ``category`` of a frame, or ``pixel``), and for
            each split ``<split>_annotated`` (frames in which somebody looked), ``<split>_positive`` (frames that show
            it; a mask shows a class by one pixel) and ``<split>_patients`` (patients with such a frame).
        together: ``[L, L]`` frames that show both of two classes, in the order of ``classes``; its diagonal holds the
            frames that show one.
        warnings: one sentence for each thing that learning or testing on these splits can't do.
        shown: ``[N, L]`` uint8: 1 where the frame shows the class, 0 where not, ``IGNORE`` where nobody looked; rows as
            in the frame index.
    """

    name: str
    splits: pd.DataFrame
    classes: pd.DataFrame
    together: NDArray[np.int64]
    warnings: tuple[str, ...]
    shown: NDArray[np.uint8]


def split_report(dataset: SurgicalDataset) -> SplitReport:
    """Count a data set. Masks are read one by one, each once, with a progress bar; none is kept.

    Raises:
        FileNotFoundError: a mask is missing.
        ValueError: a mask cannot be read or holds an unlisted value.
    """
    table = dataset.index.table
    shown = np.concatenate([shown_classes(dataset, m) for m in dataset.label_maps], axis=1)  # [N, L]
    grouped = table.groupby("split").agg(
        frames=("frame_id", "size"), videos=("video", "nunique"), patients=("patient", "nunique")
    )
    splits = grouped.reindex([s for s in SPLITS if s in grouped.index]).reset_index()
    rows: list[dict[str, Any]] = [
        {"task": m.task, "class": c, "kind": _kind(m)} for m in dataset.label_maps for c in m.classes
    ]
    for split in splits["split"]:
        here = (table["split"] == split).to_numpy()  # [N]
        patients = table.loc[here, "patient"].to_numpy()
        for column, row in enumerate(rows):
            labels = shown[here, column]
            row[f"{split}_annotated"] = int((labels != IGNORE).sum())
            row[f"{split}_positive"] = int((labels == 1).sum())
            row[f"{split}_patients"] = len(set(patients[labels == 1]))
    positive = (shown == 1).astype(np.int64)  # [N, L]
    return SplitReport(
        name=dataset.name,
        splits=splits,
        classes=pd.DataFrame(rows),
        together=positive.T @ positive,
        warnings=tuple(_warnings(dataset, rows, splits["split"].tolist(), shown)),
        shown=shown,
    )


def examples(report: SplitReport, dataset: SurgicalDataset, count: int = 12) -> list[str]:
    """Frames to look at: in turn, for each class and split, a frame that shows it, then frames evenly from all.

    Args:
        report: of ``dataset``.
        dataset: where they come from.
        count: at most so many.
    """
    table = dataset.index.table
    chosen: dict[int, None] = {}  # in order
    rarest_first = np.argsort((report.shown == 1).sum(axis=0), kind="stable")
    for column in rarest_first:
        for split in report.splits["split"]:
            rows = np.flatnonzero((report.shown[:, column] == 1) & (table["split"] == split).to_numpy())
            if len(rows) and not set(rows.tolist()) & set(chosen):
                chosen[int(rows[len(rows) // 2])] = None
    for row in np.linspace(0, len(table) - 1, count).round().astype(int).tolist():
        chosen[row] = None
    kept = sorted(list(chosen)[:count])
    ids: list[str] = table["frame_id"].iloc[kept].tolist()
    return ids


def _kind(label_map: LabelMap) -> str:
    if label_map.support == "pixel":
        return "pixel"
    return "category" if label_map.exclusive else "tag"


def shown_classes(dataset: SurgicalDataset, label_map: LabelMap) -> NDArray[np.uint8]:
    """``[N, C]`` uint8: 1, 0 or ``IGNORE`` for each class of one task; masks are read one by one, and none is kept."""
    ids, classes = dataset.index.frame_ids, len(label_map.classes)
    if label_map.support == "frame":
        labels = dataset.labels.targets(label_map.task, ids)  # [N, C] or [N]
        if not label_map.exclusive:
            return labels
        return np.where((labels == IGNORE)[:, None], IGNORE, labels[:, None] == np.arange(classes)).astype(np.uint8)

    refusals = Refusals()

    def present(frame_id: str) -> NDArray[np.uint8]:
        with refusals:
            known = dataset.labels.frame_size(frame_id)
            size = picture_size(known) if isinstance(known, Path) else known or _SIZE
            mask = dataset.labels.targets(label_map.task, [frame_id], size)[0]  # [H, W] or [C, H, W]
            if not label_map.exclusive:
                layers = mask.reshape(classes, -1)
                annotated = (layers != IGNORE).any(axis=1)  # [C]
                return np.where(annotated, (layers == 1).any(axis=1), IGNORE).astype(np.uint8)
            found = np.bincount(mask.ravel(), minlength=256)[:classes] > 0  # [C]
            if found.any():
                return found.astype(np.uint8)
        return np.full(classes, IGNORE, dtype=np.uint8)

    shown = in_threads(present, ids, f"Reading {label_map.task}")
    refusals.tell()
    return np.array(shown, dtype=np.uint8).reshape(len(ids), classes)


def _alike(table: pd.DataFrame) -> list[str]:
    """Patients of two splits whose names differ in capitals or leading zeros alone: one person, perhaps."""
    of_name: dict[str, dict[str, str]] = {}
    for patient, split in table[["patient", "split"]].drop_duplicates().itertuples(index=False):
        name = re.sub(r"(?<![0-9])0+(?=[0-9])", "", str(patient).casefold())
        of_name.setdefault(name, {})[str(patient)] = str(split)
    pairs = [of for of in of_name.values() if len(set(of.values())) > 1]
    return [f"{' and '.join(of)} lie in several splits: are they one patient?" for of in pairs]


def _warnings(
    dataset: SurgicalDataset, rows: list[dict[str, Any]], splits: list[str], shown: NDArray[np.uint8]
) -> list[str]:
    told = []
    table = dataset.index.table
    if "test" not in splits:
        told.append("there is no test split: nothing can be measured")
    one_tested = len(set(table.loc[table["split"] == "test", "patient"])) == 1
    if one_tested:
        told.append("the test split is one patient, on whom every score rests")
    if dataset.index.disjoint_by != "patient":
        shared = table.groupby("patient")["split"].nunique()
        told.append(f"splits share patients ({', '.join(shared.index[shared > 1])}): test scores are optimistic")
    told += _alike(table)
    told += shared_videos(dataset.name, table["video"].unique(), table.loc[table["split"] == "test", "video"].unique())
    patients = table["patient"].to_numpy()
    annotated = {row["task"] for row in rows if any(row[f"{s}_annotated"] for s in splits)}
    unlabelled = [m.task for m in dataset.label_maps if m.task not in annotated]
    told += [f"{task}: nobody annotated it, so it can be neither learnt nor tested" for task in unlabelled]
    by_fault: dict[str, list[str]] = {}  # in order
    for column, row in enumerate(rows):
        if row["task"] not in unlabelled:
            for fault in _faults(row, splits, sorted(set(patients[shown[:, column] == 1])), one_tested):
                by_fault.setdefault(fault, []).append(f"{row['task']}/{row['class']}")
    return told + [f"{', '.join(names)}: {fault}" for fault, names in by_fault.items()]


def _faults(row: dict[str, Any], splits: list[str], patients: list[str], one_tested: bool) -> list[str]:
    """What is wrong with one class, whose positives are of ``patients``; not that the test is one patient anyway."""
    if not patients:
        return ["no positive at all"]
    found = []
    if len(patients) == 1:
        found.append(f"all positives are of one patient ({patients[0]}), so nothing tells of other patients")
    if not row.get("pool_positive"):
        found.append("no positive in the pool, so it can't be learnt")
    if "test" in splits and not row["test_positive"]:
        found.append("no positive in the test, so it has no score")
    elif "test" in splits and row["test_patients"] == 1 and len(patients) > 1 and not one_tested:
        found.append("the positives of the test are of one patient, on whom the score rests")
    return found
