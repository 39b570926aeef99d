"""Cholec80: 80 cholecystectomies with seven tools once a second and the phase of every frame.

Twinanda, Shehata, Mutter, Marescaux, de Mathelin and Padoy, "EndoNet", IEEE Transactions on Medical Imaging 36, 2017.
Layout ``videos/video01.mp4`` (25 frames per second), ``tool_annotations/video01-tool.txt`` with a row for each 25th
frame, and ``phase_annotations/video01-phase.txt`` with a row for each frame. Frames count from 0; those that other
people have extracted as JPEG count from 1.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.film_header import film_header
from mtal.datasets.label_map import LabelMap
from mtal.datasets.splits import assign_splits
from mtal.datasets.text_files import read_text
from mtal.frames.image_folder import ImageFolder, folder_source
from mtal.frames.sampler import UniformSampler
from mtal.progress import track
from mtal.refusals import Refusals, first_of

TOOL_COLUMNS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
PHASE_NAMES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
TOOLS = LabelMap(
    task="tools",
    support="frame",
    exclusive=False,
    classes=("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen bag"),
    colors=(
        (170, 255, 0),
        (0, 170, 255),
        (169, 255, 184),
        (255, 170, 0),
        (200, 80, 255),
        (0, 255, 230),
        (255, 255, 255),
    ),
)
PHASE = LabelMap(
    task="phase",
    support="frame",
    exclusive=True,
    classes=(
        "preparation",
        "calot triangle dissection",
        "clipping and cutting",
        "gallbladder dissection",
        "gallbladder packaging",
        "cleaning and coagulation",
        "gallbladder retraction",
    ),
    colors=(
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (230, 159, 0),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ),
)
_CELLS = re.compile(r"[^\s,;]+")  # tabs in the release, commas where somebody has saved it again
TEST_VIDEOS = tuple(f"video{n:02d}" for n in range(41, 81))
FPS = 25


def load(
    root: Path | str,
    images: Path | str | None = None,
    rate_hz: float = 1.0,
    test_videos: Sequence[str] = TEST_VIDEOS,
    val_videos: Sequence[str] = (),
) -> SurgicalDataset:
    """The frames of Cholec80 that have tool labels, one a second, for the tasks tools and phase.

    The default split is the usual one: the first 40 videos to learn from, the last 40 to test on. A video is a patient.
    CholecT50 and CholecSeg8k are made of the same videos, so what was learnt on one must not be tested on another.

    Args:
        root: folder of ``tool_annotations`` and ``phase_annotations``, and of ``videos`` unless ``images`` is given.
        images: folder of frames that were extracted at 25 per second as ``video01/<number>.jpg``, counted from 1.
        rate_hz: frames per second to use; tools are labelled once a second.
        test_videos: held out for the test.
        val_videos: held out for validation.

    Raises:
        FileNotFoundError: a folder, a video or an annotation is missing.
        ValueError: an annotation is not in the format, or a split names a video that is not there.
    """
    root = Path(root)
    files = {path.name.removesuffix("-tool.txt"): path for path in sorted(root.glob("tool_annotations/*-tool.txt"))}
    if not files:
        raise FileNotFoundError(
            f"{root / 'tool_annotations'}: no video01-tool.txt here; the root of Cholec80 holds tool_annotations, "
            "phase_annotations and videos"
        )
    splits = assign_splits("cholec80", files, test_videos, val_videos)
    rows: list[dict[str, Any]] = []
    refusals = Refusals()
    for video, path in track(files.items(), "Reading annotations", total=len(files)):
        with refusals:
            rows += [{**row, "split": splits[video]} for row in _labelled(root, images, video, path, rate_hz)]
    refusals.tell()
    return SurgicalDataset.from_rows("cholec80", rows, (TOOLS, PHASE))


def _labelled(root: Path, images: Path | str | None, video: str, path: Path, rate_hz: float) -> list[dict[str, Any]]:
    """The rows of a video but for their split."""
    phase_file = root / "phase_annotations" / f"{video}-phase.txt"
    refusals = Refusals()
    with refusals:
        tools = read_tools(path)
    with refusals:
        phases = read_phases(phase_file)
    with refusals:
        source, there = _frames(root, images, video)
    refusals.tell()
    frames = np.array([f for f in tools if f in there])
    if images is not None and len(frames) < len(tools) / 2 < len(there) < 2 * len(tools):
        raise ValueError(
            f"{source}: {len(there)} images, and {len(tools)} rows of {path}, which are {FPS} frames apart: "
            f"images seem to be extracted once a second; number them as frames of {FPS} a second (1, {FPS + 1}, "
            f"{2 * FPS + 1}, …), or extract all frames"
        )
    if len(frames) < len(tools):
        lost = next(f for f in tools if f not in there)
        warnings.warn(
            f"{path}: {len(tools) - len(frames)} rows have no frame in {source}, the first is frame {lost}; "
            "they are left out",
            stacklevel=3,
        )
    chosen = frames[UniformSampler(rate_hz)(frames / FPS)].tolist()
    if lacking := [f for f in chosen if f not in phases]:
        raise ValueError(
            f"{phase_file}: no row for frame {first_of(lacking)}: {len(lacking)} that have tools; restore the file"
        )
    return [
        {
            "patient": video,
            "video": video,
            "frame": frame,
            "time_s": frame / FPS,
            "source": source,
            "tools": tools[frame],
            "phase": phases[frame],
        }
        for frame in chosen
    ]


def read_tools(path: Path, fps: int = FPS) -> dict[int, list[int]]:
    """Frame → seven zeros and ones, for each frame with a row: 0, ``fps``, 2 · ``fps`` and so on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header is another one, as where two columns are swapped; a frame stands twice or is no multiple
            of ``fps``; or a label is not 0 or 1.
    """
    tools: dict[int, list[int]] = {}
    refusals = Refusals()
    for where, frame, cells in _rows(path, ("Frame", *TOOL_COLUMNS), refusals):
        with refusals:
            if frame % fps:
                raise ValueError(
                    f"{where}: frame {frame} is no multiple of {fps}; tools are labelled in frames 0, {fps}, "
                    f"{2 * fps}, … Are the numbers of this file shifted?"
                )
            if frame in tools:
                raise ValueError(f"{where}: frame {frame} stands twice; keep one row per frame")
            if not set(cells) <= {"0", "1"}:
                raise ValueError(f"{where}: the labels are {' '.join(cells)}; each must be 0 or 1")
            tools[frame] = [int(c) for c in cells]
    refusals.tell()
    return tools


def read_phases(path: Path) -> dict[int, int]:
    """Frame → number of its phase.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header is another one, a frame stands twice or is missing in between, or a phase is unknown.
    """
    number = {name: i for i, name in enumerate(PHASE_NAMES)}
    phases: dict[int, int] = {}
    expected = 0
    refusals = Refusals()
    for where, frame, (name,) in _rows(path, ("Frame", "Phase"), refusals):
        with refusals:
            if frame != expected:
                what = f"frame {frame} stands twice" if frame in phases else f"frame {expected} is missing"
                expected = frame + 1  # told once, not at each row behind it
                raise ValueError(f"{where}: {what}; phases are labelled in frames 0, 1, 2, …")
            expected += 1
            if name not in number:
                raise ValueError(f"{where}: unknown phase {name!r}; phases are {', '.join(PHASE_NAMES)}")
            phases[frame] = number[name]
    refusals.tell()
    return phases


def _rows(path: Path, header: tuple[str, ...], refusals: Refusals) -> Iterator[tuple[str, int, list[str]]]:
    """File and line for messages, frame, and the other cells of each row; ``refusals`` get the lines that are none."""
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the annotation is missing; restore it or take its video out") from None
    found = tuple(_CELLS.findall(lines[0])) if lines else ()
    if found != header:
        raise ValueError(f"{path}: the columns are {' '.join(found)}; they must be {' '.join(header)}, in this order")
    for number, line in enumerate(lines[1:], start=2):
        cells = _CELLS.findall(line)
        if not cells:
            continue
        if len(cells) != len(header) or not cells[0].isdecimal():
            refusals.take(ValueError(f"{path}, line {number}: {line!r} is no row of {' '.join(header)}"))
            continue
        yield f"{path}, line {number}", int(cells[0]), cells[1:]


def _frames(root: Path, images: Path | str | None, video: str) -> tuple[str, frozenset[int] | range]:
    """Source of a video, and the frames that are there."""
    if images is not None:
        folder = Path(images) / video
        reader = ImageFolder(folder, 1, FPS)
        return folder_source(folder, 1, FPS), frozenset(reader.frames.tolist())
    path = root / "videos" / f"{video}.mp4"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the video is missing; restore it, or give data.images=DIR for frames extracted as JPEG"
        )
    count, _ = film_header(path)
    return str(path), range(count)
