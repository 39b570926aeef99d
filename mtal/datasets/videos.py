"""Your own unlabelled recordings: a folder of videos, sampled and cleaned, for picking what to label first."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from mtal.datasets.annotations.heads import Head
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.recording_files import SUFFIXES, RecordingFiles, recording_files
from mtal.datasets.splits import assign_splits
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.hygiene import Hygiene
from mtal.frames.index import FrameIndex
from mtal.frames.index_videos import first_reasons, index_videos
from mtal.frames.sampler import Sampler
from mtal.frames.scan import source_files
from mtal.frames.timeline import Truncated
from mtal.refusals import Refusals

_log = logging.getLogger(__name__)


def load(
    root: Path | str,
    sampler: Sampler,
    hygiene: Hygiene,
    index: Path | str,
    patient_pattern: str = r"[^/]+",
    tasks: Path | str | Sequence[LabelMap] | None = None,
    workers: int | None = None,
    limit_s: float = 60.0,
    on_truncated: Truncated = "raise",
    test_patients: Sequence[str] = (),
    heads: Mapping[str, Any] | None = None,
    rate_hz: float | None = None,
) -> SurgicalDataset:
    """All videos below a folder, none of them labelled: every label is ``IGNORE``.

    A video is named after its path below the root without the suffix. What was dropped, and which files could not be
    read, is told in a folder of its own under ``index``: ``dropped.parquet``, ``dropped.png``, ``quarantined.csv``.
    Files that are left out are told in a warning.

    Args:
        root: folder of videos; folders inside are searched too.
        sampler: which frames are looked at.
        hygiene: which of them are dropped.
        index: folder that remembers what was found, so that a video is looked through once.
        patient_pattern: regular expression that is searched for in the name of a video; its first group, or the whole
            match, is the patient. The default is the folder below the root, or the file where there is none.
        tasks: the tasks of a model: its run folder, or label maps; ``None`` for those of the synthetic surgery.
        workers: videos looked through at once; as many as there are processors if ``None``.
        limit_s: seconds without a new frame after which a decoder counts as hung and its video is left out this time.
        on_truncated: what becomes of a video with fewer frames than its header promises, or with joined ones
            unread: ``"raise"`` sets it aside, ``"keep"`` takes those that decode.
        test_patients: held out for the test; all other frames are in the split ``pool``.
        heads: what is to be labelled, where no ``tasks`` say it: name → ``kind``, ``support``, ``classes`` and ``rest``
            as :class:`mtal.datasets.annotations.heads.Head` has them.
        rate_hz: pictures per second of the folders of pictures below the root, each of which then is a recording;
            ``None`` leaves them out.

    Raises:
        FileNotFoundError: the root is missing or holds no video, or the run folder is none.
        ValueError: no video can be read, all frames are dropped, the pattern does not fit a name, or ``on_truncated``
            is none of its two values.
    """
    if on_truncated not in get_args(Truncated):
        raise ValueError(f"data.on_truncated must be one of {', '.join(get_args(Truncated))}, not {on_truncated!r}")
    if tasks is not None and heads is not None:
        raise ValueError("data.tasks and data.heads both say what is to be labelled; give one of them")
    label_maps = _label_maps(tasks) if heads is None else _heads(heads)
    root = Path(root).resolve()
    files = _recordings(root, rate_hz)
    videos = files.sources(rate_hz)
    for sentence in files.left_out(rate_hz):
        _log.warning("%s", sentence)
    patients = _patients(videos, patient_pattern)
    splits = assign_splits("videos", patients.values(), test_patients, who="patients")
    folder = found_folder(root, index)
    found = index_videos(videos, sampler, hygiene, folder, workers, limit_s, on_truncated)
    if len(found.quarantined) == len(videos):
        raise ValueError(f"{root}: no video can be read; {first_reasons(found.quarantined)}")
    if not len(found.frames):
        raise ValueError(f"{root}: all {len(found.dropped)} frames are dropped; see {folder / 'dropped.png'}")
    patient = found.frames["video"].map(patients)
    frames = found.frames.assign(patient=patient, split=patient.map(splits))
    unlabelled = pd.DataFrame({"frame_id": frames["frame_id"]} | {m.task: None for m in label_maps})
    return SurgicalDataset("videos", FrameIndex(frames), label_maps, LabelTable(unlabelled, label_maps))


def found_folder(root: Path | str, index: Path | str) -> Path:
    """The folder under ``index`` that tells what was found below ``root``."""
    root = Path(root).resolve()
    return Path(index) / f"{root.name}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def find_recordings(root: Path, rate_hz: float | None = None) -> dict[str, int]:
    """Name → bytes of every recording below ``root``, in the order of names.

    Raises:
        FileNotFoundError: there is no such folder, or no video in it.
    """
    sources = _recordings(root, rate_hz).sources(rate_hz)
    return {name: sum(file.stat().st_size for file in source_files(source)) for name, source in sources.items()}


def _recordings(root: Path, rate_hz: float | None) -> RecordingFiles:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; data.root is the folder that holds the videos")
    found = recording_files(root)
    if not found.sources(rate_hz):
        told = "".join(f"; {sentence}" for sentence in found.left_out(rate_hz))
        raise FileNotFoundError(f"{root}: no videos here ({', '.join(SUFFIXES)}){told}")
    return found


def _patients(videos: Iterable[str], pattern: str) -> dict[str, str]:
    """Name of a video → patient."""
    try:
        matches = {name: re.search(pattern, name) for name in videos}
    except re.error as error:
        raise ValueError(f"data.patient_pattern={pattern!r} is no regular expression: {error}") from error
    patients: dict[str, str] = {}
    refusals = Refusals()
    for name, match in matches.items():
        with refusals:
            if match is None or match[min(1, match.re.groups)] is None:
                raise ValueError(
                    f"video {name!r} does not match data.patient_pattern={pattern!r}, so its patient is unknown"
                )
            patients[name] = match[min(1, match.re.groups)]
    refusals.tell()
    return patients


def _heads(heads: Mapping[str, Any]) -> tuple[LabelMap, ...]:
    """Label maps of heads that are yet to be labelled."""
    refusals, found = Refusals(), []
    for task, entry in heads.items():
        with refusals:
            head = Head.parse(task, entry)
            if head.classes is None:
                raise ValueError(f"data.heads.{task} has no classes; name them")
            found.append(head.label_map())
    refusals.tell()
    return tuple(found)


def _label_maps(tasks: Path | str | Sequence[LabelMap] | None) -> tuple[LabelMap, ...]:
    if tasks is None:
        return LABEL_MAPS
    if not isinstance(tasks, (str, Path)):
        return tuple(tasks)
    path = Path(tasks) / "tasks.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; data.tasks is the folder of a run")
    return tuple(
        LabelMap(
            task=task,
            support=told["support"],
            exclusive=told["family"] == "categorical",
            classes=tuple(told["classes"]),
            colors=tuple((r, g, b) for r, g, b in told["colors"]),
            values={n: n for n in (*range(len(told["classes"])), IGNORE)} if told["support"] == "pixel" else {},
        )
        for task, told in json.loads(path.read_text()).items()
    )
