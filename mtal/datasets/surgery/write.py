"""Writing a synthetic surgery to disk, in the layouts of Cholec80 and CholecSeg8k.

    <root>/cholec80/videos/video01.mp4
    <root>/cholec80/phase_annotations/video01-phase.txt         a row for each frame
    <root>/cholec80/tool_annotations/video01-tool.txt           a row for each second; written last of its patient
    <root>/cholecseg8k/video01/video01_00000/frame_0_endo_watershed_mask.png    clips of 80 frames
    <root>/dataset.json                                         written last of all

Whatever bears its final name is whole: everything is written under a name that starts with a dot and then renamed. The
same arguments give the same bytes, by whatever number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import joblib
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mtal.datasets.cholec80 import TOOL_COLUMNS
from mtal.datasets.surgery.render import Surgery
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse

FORMAT_VERSION = 4
"""Raised whenever the same arguments begin to give other files."""
CLIP_FRAMES = 80
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
        difficulty: 0 to 1; how much patients differ, and how noisy, smoky and blurred pictures are.
        seed: of all randomness.

    Raises:
        ValueError: a value is out of range.
    """

    patients: int = 15
    seconds: float = 75.0
    fps: int = 5
    size: int = 160
    difficulty: float = 0.35
    seed: int = 0

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, is_right, kind, least in (
            ("patients", is_whole, "a whole number", 1),
            ("seconds", is_number, "a number", 1),
            ("fps", is_whole, "a whole number", 5),
            ("size", is_whole, "a whole number", 64),
            ("difficulty", is_number, "a number", 0),
            ("seed", is_whole, "a whole number", 0),
        ):
            value = getattr(self, name)
            if not is_right(value):
                yield f"synthetic surgery: {name}={value}, but it must be {kind}"
            elif value < least:
                yield f"synthetic surgery: {name}={value}, but it must be at least {least}"
        if is_number(self.difficulty) and self.difficulty > 1:
            yield f"synthetic surgery: difficulty={self.difficulty}, but it must be at most 1"
        if is_whole(self.size) and self.size % 2:
            yield f"synthetic surgery: size={self.size}, but H.264 in yuv420p needs an even number of pixels"

    @property
    def manifest(self) -> dict[str, Any]:
        """The arguments and the version of the format, as ``dataset.json`` holds them."""
        return {"format": "mtal synthetic surgery", "version": FORMAT_VERSION, **asdict(self)}


def video_name(patient: int) -> str:
    """``video01`` for patient number 0."""
    return f"video{patient + 1:02d}"


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
        _write_text(root / _UNFINISHED, json.dumps(arguments.manifest, indent=1) + "\n")
        todo = [p for p in range(arguments.patients) if not _tools_path(root, p).is_file()]
        done = arguments.patients - len(todo)
        for _ in _each(root, arguments, todo, workers):
            done += 1
            if progress is not None:
                progress(done, arguments.patients)
        (root / _UNFINISHED).rename(root / _MANIFEST)


def write_patient(root: Path, arguments: SurgeryArguments, patient: int) -> None:
    """Write video, masks, phases and tools of one patient (number from 0)."""
    name = video_name(patient)
    video, masks = root / "cholec80/videos" / f"{name}.mp4", root / "cholecseg8k" / name
    phases, tools = root / "cholec80/phase_annotations" / f"{name}-phase.txt", _tools_path(root, patient)
    for path in (video, masks, phases, tools):
        path.parent.mkdir(parents=True, exist_ok=True)
    new_video, new_masks = _hidden(video), _hidden(masks)
    shutil.rmtree(new_masks, ignore_errors=True)
    a = arguments
    surgery = Surgery(a.seed, patient, a.seconds, a.fps, a.size, a.difficulty)
    phase_rows, tool_rows = ["Frame\tPhase"], ["\t".join(("Frame", *TOOL_COLUMNS))]
    with _VideoWriter(new_video, arguments, surgery.look.crf) as writer:
        for number, frame in enumerate(surgery.frames()):
            writer.write(frame.image)
            first = number // CLIP_FRAMES * CLIP_FRAMES
            clip = new_masks / f"{name}_{first:05d}"
            if number == first:
                clip.mkdir(parents=True)
            cv2.imwrite(
                str(clip / f"frame_{number}_endo_watershed_mask.png"), frame.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1]
            )
            phase_rows.append(f"{number}\t{frame.phase}")
            if number % a.fps == 0:
                tool_rows.append("\t".join(map(str, (number, *frame.tools))))
    if masks.exists():  # left by a run that was cut off before the tools
        shutil.rmtree(masks)
    new_masks.rename(masks)
    new_video.rename(video)
    _write_text(phases, "\n".join(phase_rows) + "\n")
    _write_text(tools, "\n".join(tool_rows) + "\n")


class _VideoWriter:
    """H.264 in MP4. One thread, so that the bytes do not depend on the machine's load."""

    def __init__(self, path: Path, arguments: SurgeryArguments, crf: int) -> None:
        self._container = av.open(str(path), mode="w")
        self._stream = self._container.add_stream("libx264", rate=Fraction(arguments.fps))
        self._stream.width = self._stream.height = arguments.size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        # A key frame every two seconds; B-frames as recorders write them. Without macroblock-tree rate control: with it
        # libx264 reads memory that it has not written, and the bytes differ from one process to the next.
        self._stream.options = {
            "preset": "veryfast",
            "crf": str(crf),
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


def _each(root: Path, arguments: SurgeryArguments, patients: list[int], workers: int) -> Iterator[None]:
    """Write the patients, yielding once for each."""
    if workers <= 1 or len(patients) <= 1:
        for patient in patients:
            write_patient(root, arguments, patient)
            yield
        return
    # not forked, for encoders and thread pools do not survive that; and not multiprocessing's own pool, which cannot
    # start from inside the workers of a sweep
    draw = joblib.delayed(write_patient)
    yield from joblib.Parallel(min(workers, len(patients)), backend="loky", return_as="generator_unordered")(
        draw(root, arguments, patient) for patient in patients
    )


def _tools_path(root: Path, patient: int) -> Path:
    return root / "cholec80/tool_annotations" / f"{video_name(patient)}-tool.txt"


def _lock_path(root: Path) -> Path:
    return root / ".lock"


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def _write_text(path: Path, content: str) -> None:
    _hidden(path).write_text(content)
    _hidden(path).rename(path)


def _refuse_other(path: Path, arguments: SurgeryArguments) -> None:
    found = json.loads(path.read_text())
    for key, wanted in arguments.manifest.items():
        if found.get(key) != wanted:
            raise ValueError(
                f"{path}: this set was made with {key}={found.get(key)!r}, now {key}={wanted!r} is asked for; "
                f"choose another data.root or delete {path.parent}"
            )
