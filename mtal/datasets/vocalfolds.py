"""Vocal folds: 536 frames of laryngeal surgery with tissue and tool masks.

Laves, Bicker, Kahrs and Ortmaier, "A dataset of laryngeal endoscopic images with comparative study on convolution
neural network-based semantic segmentation", IJCARS 14, 2019. Layout ``img/patient<P>/seq<S>/<number>.jpg`` and the same
names as ``.png`` under ``annot``; ``_l`` in a name is the left eye of a stereo pair. Files count from 1, with gaps.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.mask import check_size, gray_values
from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.index import FrameIndex, frame_id
from mtal.refusals import Refusals, first_of

ANATOMY = LabelMap(
    task="anatomy",
    support="pixel",
    exclusive=True,
    classes=("vocal folds", "other tissue", "glottal space", "pathology"),
    colors=((230, 159, 0), (0, 158, 115), (0, 114, 178), (204, 121, 167)),
    values={0: IGNORE, 1: 0, 2: 1, 3: 2, 4: 3, 5: IGNORE, 6: IGNORE},  # void and tools hide what lies behind them
)
TOOLS = LabelMap(
    task="tools",
    support="frame",
    exclusive=False,
    classes=("surgical tool", "intubation tube"),
    colors=((86, 180, 233), (240, 228, 66)),
)
BLEEDING = LabelMap(task="bleeding", support="frame", exclusive=False, classes=("bleeding",), colors=((213, 0, 0),))

TEST_PATIENTS = ("patient1",)
TEST_SEQUENCES = ("seq2", "seq4", "seq6")
_TOOL_GRAYS = (5, 6)
_LEAST_TOOL_SHARE = 0.001  # a few stray pixels are no tool in view
_FIRST_NUMBER = 1


def load(
    root: Path | str,
    split: Literal["patient", "sequence"] = "patient",
    native_rate_hz: float = 25.0,
    val_sequences: Sequence[str] = (),
) -> SurgicalDataset:
    """The vocal-fold frames for the tasks anatomy, tools and bleeding.

    Anatomy is the mask without void and tools, which are ignored. A tool is in view where it covers more than 0.1 % of
    the frame. Bleeding was not annotated, so all its labels are ``IGNORE``.

    ``split="patient"`` learns from patient 2 and tests on patient 1. Pathology is seen in patient 1 only, so no model
    can learn it from this pool. ``split="sequence"`` tests on seq2, seq4 and seq6, chosen by label counts: every class
    is present in both splits (pathology is in seq1 and seq2 only) and each tool is absent from some frames of both
    (seq1 and seq4 have no tube, nearly all other frames do). Its test scores are optimistic, since both patients are
    in both splits.

    Args:
        root: folder that holds ``img`` and ``annot``.
        split: what the splits do not share.
        native_rate_hz: frames per second that file numbers count. The files do not tell; 25 is an assumption, used for
            the time between frames and nothing else.
        val_sequences: sequences of the pool that are the split ``val`` instead; of patients that are learnt from too.

    Raises:
        FileNotFoundError: the root, the images of a sequence or a mask is missing.
        ValueError: a sequence for val is not there or is tested on, a mask cannot be read, is of another size than its
            sequence, or holds an unknown gray value.
    """
    if split not in ("patient", "sequence"):
        raise ValueError(f"unknown split {split!r} of the vocal-fold frames; splits are patient and sequence")
    root = Path(root)
    frames: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    pictures: dict[str, Path] = {}  # frame_id → file
    folders = _sequences(root)
    splits = {folder.name: "test" if _tested(folder, split) else "pool" for folder in folders}
    if strange := [video for video in val_sequences if splits.get(video) != "pool"]:
        pool = ", ".join(name for name, part in splits.items() if part == "pool")
        named = first_of([repr(video) for video in strange])
        raise ValueError(f"data.val_sequences: {named} is no sequence of the pool, which has {pool}")
    splits |= dict.fromkeys(val_sequences, "val")
    refusals = Refusals()
    for folder in folders:
        patient, video = folder.parent.name, folder.name
        with refusals, ImageFolder(folder, _FIRST_NUMBER, native_rate_hz) as images:
            for frame, time_s in zip(images.frames.tolist(), images.times_s.tolist(), strict=True):
                key = {"frame_id": frame_id(video, frame), "patient": patient, "video": video, "frame": frame}
                source = folder_source(folder, _FIRST_NUMBER, native_rate_hz)
                frames.append({**key, "time_s": time_s, "source": source, "split": splits[video]})
                mask = root / "annot" / patient / video / f"{images.path(frame).stem}.png"
                pictures[key["frame_id"]] = images.path(frame)
                with refusals:
                    tools = _tools(mask, images.path(frame))
                    labels.append({"frame_id": key["frame_id"], "anatomy": mask, "tools": tools, "bleeding": None})
    refusals.tell()
    if split == "sequence":
        warnings.warn(
            "the vocal-fold frames are split by sequence: both patients are learnt from and tested on, so test scores "
            "are optimistic; use split='patient' to test on an unseen patient",
            stacklevel=2,
        )
    index = FrameIndex(pd.DataFrame(frames), "patient" if split == "patient" and not val_sequences else "video")
    label_maps = (TOOLS, BLEEDING, ANATOMY)
    return SurgicalDataset("vocalfolds", index, label_maps, LabelTable(pd.DataFrame(labels), label_maps, pictures))


def _tested(folder: Path, split: str) -> bool:
    return folder.parent.name in TEST_PATIENTS if split == "patient" else folder.name in TEST_SEQUENCES


def _sequences(root: Path) -> list[Path]:
    for folder in (root / "img", root / "annot"):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; the root of the vocal-fold frames holds img and annot")
    sequences = sorted(p for p in root.glob("img/patient*/seq*") if p.is_dir())
    if not sequences:
        raise FileNotFoundError(f"{root / 'img'}: no sequence here; they lie in patient<P>/seq<S>")
    return sequences


def _tools(path: Path, picture: Path) -> list[int]:
    """0 or 1 per tool, after a check of the whole mask."""
    gray = gray_values(path)
    check_size(path, gray, picture)
    unknown = sorted(set(np.unique(gray).tolist()) - set(ANATOMY.values))
    if unknown:
        raise ValueError(f"{path}: gray value {unknown[0]} has no meaning in this data set; known are 0 to 6")
    return [int((gray == value).mean() > _LEAST_TOOL_SHARE) for value in _TOOL_GRAYS]
