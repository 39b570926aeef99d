"""Writing a synthetic surgery to disk: one video, one folder of masks and one label table per patient.

    <root>/videos/patient01.mp4
    <root>/masks/patient01/000000.png
    <root>/labels/patient01.parquet     written last of its patient
    <root>/dataset.json                 written last of all

Whatever bears its final name is whole: everything is written under a name that starts with a dot and then renamed. The
same arguments give the same bytes, by whatever number of workers.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from mtal.datasets.surgery.render import Surgery
from mtal.frames.index import frame_id

FORMAT_VERSION = 3
"""Raised whenever the same arguments begin to give other files."""
_MANIFEST = "dataset.json"
_UNFINISHED = ".unfinished.json"


@dataclass(frozen=True)
class SurgeryArguments:
    """What a set is made from.

    Args:
        patients: number of patients, one video each.
        seconds: length of each video.
        fps: frames per second, at least 5.
        size: edge of the square picture in pixels, even.
        seed: of all randomness.

    Raises:
        ValueError: a value is out of range.
    """

    patients: int = 10
    seconds: float = 75.0
    fps: int = 5
    size: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("patients", self.patients, 1),
            ("seconds", self.seconds, 1),
            ("fps", self.fps, 5),
            ("size", self.size, 64),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise ValueError(f"synthetic surgery: {name}={value}, but it must be at least {least}")
        if self.size % 2:
            raise ValueError(
                f"synthetic surgery: size={self.size}, but H.264 in yuv420p needs an even number of pixels"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """The arguments and the version of the format, as ``dataset.json`` holds them."""
        return {"format": "mtal synthetic surgery", "version": FORMAT_VERSION, **asdict(self)}


def video_name(patient: int) -> str:
    """``patient01`` for patient number 0."""
    return f"patient{patient + 1:02d}"


def is_written(root: Path, arguments: SurgeryArguments) -> bool:
    """The whole set lies in ``root``.

    Raises:
        ValueError: ``root`` holds a set made with other arguments, or something else altogether.
    """
    for name in (_MANIFEST, _UNFINISHED):
        if (root / name).is_file():
            _refuse_other(root / name, arguments)
            return name == _MANIFEST
    if root.is_dir() and any(p.name != _lock_path(root).name for p in root.iterdir()):
        raise ValueError(
            f"{root} is not empty and holds no synthetic surgery ({_MANIFEST} is missing); choose another data.root"
        )
    return False


def write_surgeries(
    root: Path,
    arguments: SurgeryArguments,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the set, or what is missing of one that was cut off; nothing is done where it is whole.

    Args:
        root: folder, made if absent.
        arguments: what to make.
        workers: processes; the files do not depend on it.
        progress: called with (patients written, patients in all).

    Raises:
        ValueError: see :func:`is_written`.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_path(root)):  # a second run waits for the first instead of writing the same files
        if is_written(root, arguments):
            return
        for folder in ("videos", "masks", "labels"):
            (root / folder).mkdir(exist_ok=True)
        _write_json(root / _UNFINISHED, arguments.manifest)
        todo = [p for p in range(arguments.patients) if not _labels_path(root, p).is_file()]
        done = arguments.patients - len(todo)
        for _ in _each(root, arguments, todo, workers):
            done += 1
            if progress is not None:
                progress(done, arguments.patients)
        (root / _UNFINISHED).rename(root / _MANIFEST)


def read_labels(root: Path, arguments: SurgeryArguments) -> pd.DataFrame:
    """All rows of a written set, in order of patient and frame, with the masks' paths made absolute under ``root``."""
    table = pd.concat([pd.read_parquet(_labels_path(root, p)) for p in range(arguments.patients)], ignore_index=True)
    table["anatomy"] = [str(root / path) for path in table["anatomy"]]
    table["source"] = [str(root / path) for path in table["source"]]
    return table


def write_patient(root: Path, arguments: SurgeryArguments, patient: int) -> None:
    """Write video, masks and labels of one patient (number from 0)."""
    name = video_name(patient)
    surgery = Surgery(arguments.seed, patient, arguments.seconds, arguments.fps, arguments.size)
    video, masks, labels = root / "videos" / f"{name}.mp4", root / "masks" / name, _labels_path(root, patient)
    new_masks = masks.with_name(f".{name}")
    shutil.rmtree(new_masks, ignore_errors=True)
    new_masks.mkdir()
    rows = []
    with _VideoWriter(video.with_name(f".{name}.mp4"), arguments) as writer:
        for number, frame in enumerate(surgery.frames()):
            writer.write(frame.image)
            Image.fromarray(frame.anatomy).save(new_masks / f"{number:06d}.png", compress_level=1)
            rows.append(
                {
                    "frame_id": frame_id(name, number),
                    "patient": name,
                    "video": name,
                    "frame": number,
                    "time_s": frame.time_s,
                    "source": f"videos/{name}.mp4",
                    "phase": frame.phase,
                    "tools": list(frame.tools),
                    "bleeding": [frame.bleeding],
                    "anatomy": f"masks/{name}/{number:06d}.png",
                }
            )
    if masks.exists():  # left by a run that was cut off before the labels
        shutil.rmtree(masks)
    new_masks.rename(masks)
    video.with_name(f".{name}.mp4").rename(video)
    unnamed = labels.with_name(f".{labels.name}")
    pd.DataFrame(rows).to_parquet(unnamed, index=False)
    unnamed.rename(labels)


class _VideoWriter:
    """H.264 in MP4. One thread, so that the bytes do not depend on the machine's load."""

    def __init__(self, path: Path, arguments: SurgeryArguments) -> None:
        self._container = av.open(str(path), mode="w")
        self._stream = self._container.add_stream("libx264", rate=Fraction(arguments.fps))
        self._stream.width = self._stream.height = arguments.size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        # A key frame every two seconds; B-frames as recorders write them. Without macroblock-tree rate control: with it
        # libx264 reads memory that it has not written, and the bytes differ from one process to the next.
        self._stream.options = {
            "preset": "veryfast",
            "crf": "22",
            "g": str(2 * arguments.fps),
            "bf": "2",
            "x264-params": "mbtree=0",
        }

    def __enter__(self) -> _VideoWriter:
        return self

    def write(self, image: NDArray[np.uint8]) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def _each(root: Path, arguments: SurgeryArguments, patients: list[int], workers: int) -> Any:
    """Write the patients, yielding once for each."""
    if workers <= 1 or len(patients) <= 1:
        for patient in patients:
            write_patient(root, arguments, patient)
            yield patient
        return
    # Spawned, not forked: encoders and thread pools do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(patients)), mp_context=context) as pool:
        jobs = [pool.submit(write_patient, root, arguments, patient) for patient in patients]
        for job in as_completed(jobs):
            yield job.result()


def _labels_path(root: Path, patient: int) -> Path:
    return root / "labels" / f"{video_name(patient)}.parquet"


def _lock_path(root: Path) -> Path:
    return root / ".lock"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    unnamed = path.with_name(f".{path.name}.new")
    unnamed.write_text(json.dumps(content, indent=1) + "\n")
    unnamed.rename(path)


def _refuse_other(path: Path, arguments: SurgeryArguments) -> None:
    found = json.loads(path.read_text())
    for key, wanted in arguments.manifest.items():
        if found.get(key) != wanted:
            raise ValueError(
                f"{path}: this set was made with {key}={found.get(key)!r}, now {key}={wanted!r} is asked for; "
                f"choose another data.root or delete {path.parent}"
            )
