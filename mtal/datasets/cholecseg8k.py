"""CholecSeg8k: 8,080 frames of 17 videos of Cholec80 with masks, joined with the tools that Cholec80 labels.

Hong, Kao, Kuo, Wang, Chang and Shih, "CholecSeg8k", arXiv 2012.12453, 2020; for Cholec80 see
:mod:`mtal.datasets.cholec80`. Layout ``video01/video01_00080/frame_80_endo.png`` beside
``frame_80_endo_watershed_mask.png``, whose gray values are the classes. Frame numbers are Cholec80's, from 0, at 25
frames per second; a folder is named after its first frame.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtal.datasets import cholec80 as cholec80_files
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.film_header import film_header
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import Size, class_shares
from mtal.datasets.splits import assign_splits
from mtal.frames.image_folder import folder_source
from mtal.frames.index import frame_id
from mtal.frames.picture import read_picture
from mtal.frames.reader import open_reader
from mtal.frames.sampler import UniformSampler
from mtal.refusals import Refusals

MASK = LabelMap(
    task="mask",
    support="pixel",
    exclusive=True,
    classes=(
        "black background",
        "abdominal wall",
        "liver",
        "gastrointestinal tract",
        "fat",
        "grasper",
        "connective tissue",
        "blood",
        "cystic duct",
        "L-hook electrocautery",
        "gallbladder",
        "hepatic vein",
        "liver ligament",
    ),
    colors=(
        (127, 127, 127),
        (210, 140, 140),
        (255, 114, 114),
        (231, 70, 156),
        (186, 183, 75),
        (170, 255, 0),
        (255, 85, 0),
        (255, 0, 0),
        (255, 255, 0),
        (169, 255, 184),
        (255, 160, 165),
        (0, 50, 128),
        (111, 74, 0),
    ),
    # 0 and 255 are undocumented and lie along borders
    values={0: IGNORE, 255: IGNORE}
    | {50: 0, 11: 1, 21: 2, 13: 3, 12: 4, 31: 5, 23: 6, 24: 7, 25: 8, 32: 9, 22: 10, 33: 11, 5: 12},
)
"""Every class of the watershed masks."""
ANATOMY = MASK.only(
    "anatomy",
    [c for c in MASK.classes if c not in ("black background", "grasper", "L-hook electrocautery", "blood")],
)
"""Tools, blood and the black rim are ignored: nobody can see what lies behind them."""
MASK_TOOLS = LabelMap("tools", "frame", False, ("grasper", "L-hook"), ((170, 255, 0), (169, 255, 184)))
BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), ((255, 0, 0),))
TEST_VIDEOS = ("video12", "video20", "video48", "video55")

_GRASPER, _BLOOD, _HOOK = (MASK.classes.index(c) for c in ("grasper", "blood", "L-hook electrocautery"))
_FILE = re.compile(r"frame_(\d+)_endo(|_mask|_color_mask|_watershed_mask)\.png")


@dataclass(frozen=True)
class _Frame:
    video: str
    number: int
    image: Path
    mask: Path


def load(
    root: Path | str,
    cholec80: Path | str | None = None,
    tools: Literal["cholec80", "masks"] | None = None,
    frames: Literal["videos", "images"] | None = None,
    blood_area: float = 0.001,
    tool_area: float = 0.001,
    rate_hz: float | None = None,
    fps: int = cholec80_files.FPS,
    test_videos: Sequence[str] = TEST_VIDEOS,
    val_videos: Sequence[str] = (),
) -> SurgicalDataset:
    """Frames of CholecSeg8k for the tasks tools, bleeding and anatomy, and phase where Cholec80's are there.

    Anatomy is the watershed mask. Bleeding means that blood covers more than ``blood_area`` of the frame. Tools are the
    seven of Cholec80, of which frame f takes row 25 · ⌊f / 25⌋ and is thus exact to a second, or the two that the masks
    know, in view where they cover more than ``tool_area``. A video is a patient.

    All blood of CholecSeg8k is in video01: with it in the pool there is no bleeding to test on, and with it in the test
    none to learn from.

    Args:
        root: folder of ``video01`` and so on.
        cholec80: root of Cholec80; ``None`` if it is not at hand.
        tools: where tools come from; ``None`` for Cholec80 where it is given, else the masks.
        frames: read frames from Cholec80's videos or from the images beside the masks; ``None`` for the video of each
            patient where it is there, else the images.
        blood_area: share of the frame.
        tool_area: share of the frame.
        rate_hz: frames per second to use of each clip; ``None`` for all.
        fps: frames per second of the videos, and frames from one tool row to the next.
        test_videos: held out for the test.
        val_videos: held out for validation.

    Raises:
        FileNotFoundError: a folder, image, mask, video or annotation is missing.
        ValueError: frames or files contradict each other, a mask holds an unknown gray value, or a split names a video
            that is not there.
    """
    if cholec80 is None and (tools == "cholec80" or frames == "videos"):
        raise ValueError("cholecseg8k: these labels or frames are Cholec80's; give its root as data.cholec80=DIR")
    source = None if cholec80 is None else Path(cholec80)
    found: list[_Frame] = []
    refusals = Refusals()
    for video in _videos(Path(root)):
        with refusals:
            found += _sampled(_frames(video), rate_hz, fps)
    refusals.tell()
    splits = assign_splits("cholecseg8k", {f.video for f in found}, test_videos, val_videos)
    places, sizes = _places(found, source, frames, fps)
    of_frames = [sizes.get(frame_id(f.video, f.number), sizes.get(f.video)) for f in found]
    shares = class_shares([f.mask for f in found], MASK, of_frames)  # [N, C]
    if source is None or tools == "masks":
        tool_map, tags = MASK_TOOLS, (shares[:, (_GRASPER, _HOOK)] > tool_area).astype(int).tolist()
    else:
        tool_map, tags = cholec80_files.TOOLS, _tool_rows(found, source, fps)
        _warn_of_swapped_columns(np.array(tags), shares > tool_area)
    label_maps: tuple[LabelMap, ...] = (tool_map, BLEEDING, ANATOMY)
    phases: list[int | None] = [None] * len(found)
    if source is not None and (source / "phase_annotations").is_dir():
        label_maps = (*label_maps, cholec80_files.PHASE)
        phases = _phase_rows(found, source)
    rows: list[dict[str, Any]] = [
        {
            "patient": f.video,
            "video": f.video,
            "frame": f.number,
            "time_s": f.number / fps,
            "source": place,
            "split": splits[f.video],
            "tools": tag,
            "bleeding": [int(share[_BLOOD] > blood_area)],
            "anatomy": f.mask,
            "phase": phase,
        }
        for f, place, tag, phase, share in zip(found, places, tags, phases, shares, strict=True)
    ]
    return SurgicalDataset.from_rows("cholecseg8k", rows, label_maps, sizes)


def _videos(root: Path) -> list[Path]:
    videos = sorted(p for p in root.glob("video*") if p.is_dir())
    if not videos:
        raise FileNotFoundError(f"{root}: no video here; the root of CholecSeg8k holds video01/video01_00080 and so on")
    return videos


def _frames(video: Path) -> list[_Frame]:
    """Every frame of a video that has a file of any kind, ascending."""
    frames: dict[int, _Frame] = {}
    refusals = Refusals()
    for clip in sorted(p for p in video.iterdir() if p.is_dir()):
        name = re.fullmatch(rf"{re.escape(video.name)}_(\d+)", clip.name)
        if name is None:
            wrong = f"{clip}: the folder must be called {video.name}_<first frame>, such as {video.name}_00080"
            refusals.take(ValueError(wrong))
            continue
        matches = [m for p in sorted(clip.iterdir()) if (m := _FILE.fullmatch(p.name))]
        masks = {int(m[1]): clip / m.string for m in matches if m[2] == "_watershed_mask"}
        others = {int(m[1]): m for m in reversed(matches) if int(m[1]) not in masks}
        for match in reversed(others.values()):
            missing = clip / f"frame_{match[1]}_endo_watershed_mask.png"
            told = f"{missing}: the mask is missing, {match.string} is there; restore it"
            refusals.take(FileNotFoundError(told))
        numbers = sorted(masks)
        for number, mask in masks.items():
            if number in frames:
                told = f"{mask}: frame {number} is in {frames[number].mask.parent.name} too; remove one of them"
                refusals.take(ValueError(told))
                continue
            frames[number] = _Frame(video.name, number, mask.with_name(mask.name.replace("_watershed_mask", "")), mask)
        _warn_of_shifted_numbers(clip, int(name[1]), numbers)
    refusals.tell()
    return [frames[number] for number in sorted(frames)]


def _warn_of_shifted_numbers(clip: Path, first: int, numbers: list[int]) -> None:
    if numbers and numbers[0] != first:
        warnings.warn(
            f"{clip}: the folder says that its first frame is {first}, but the first file is that of frame "
            f"{numbers[0]}; if its numbers are shifted, so are the tools of its frames",
            stacklevel=3,
        )
    steps = np.diff(numbers)
    if len(steps) and (steps > steps.min()).any():
        gap = int((steps > steps.min()).argmax())
        warnings.warn(f"{clip}: no files of the frames between {numbers[gap]} and {numbers[gap + 1]}", stacklevel=3)


def _sampled(frames: list[_Frame], rate_hz: float | None, fps: int) -> list[_Frame]:
    if rate_hz is None:
        return frames
    return [frames[i] for i in UniformSampler(rate_hz)([f.number / fps for f in frames]).tolist()]


def _places(
    frames: list[_Frame], cholec80: Path | None, kind: Literal["videos", "images"] | None, fps: int
) -> tuple[list[str], dict[str, Size | Path]]:
    """Source of each frame, and frame_id or video → (H, W), or the picture that has it."""
    films = {}
    refusals = Refusals()
    for video in sorted({f.video for f in frames}):
        film = None if cholec80 is None or kind == "images" else cholec80 / "videos" / f"{video}.mp4"
        if kind == "videos" and film is not None and not film.is_file():
            lost = f"{film}: the video is missing; restore it, or set data.frames=images"
            refusals.take(FileNotFoundError(lost))
        if film is not None and film.is_file():
            films[video] = film
    sizes: dict[str, Size | Path] = {}
    refusals.tell()
    for frame in frames:
        if frame.video in films:
            continue
        with refusals:
            if not frame.image.is_file():
                raise FileNotFoundError(
                    f"{frame.image}: the image is missing, {frame.mask.name} is there; restore it, or give the root of "
                    f"Cholec80 with videos/{frame.video}.mp4 as data.cholec80=DIR"
                )
        sizes[frame_id(frame.video, frame.number)] = frame.image
    for video, film in films.items():
        with refusals:
            count, sizes[video] = film_header(film)
            _check_film(film, count, [f for f in frames if f.video == video])
    refusals.tell()
    pattern = "frame_*_endo.png"
    return [
        str(films[f.video]) if f.video in films else folder_source(f.image.parent, 0, fps, pattern) for f in frames
    ], sizes


def _check_film(film: Path, count: int, frames: list[_Frame]) -> None:
    """The video has all frames, and shows the picture of the first that lies beside its mask under the same number."""
    beyond = [f for f in frames if f.number >= count]
    if beyond:
        raise ValueError(f"{beyond[0].mask}: {film} ends before this frame, it has {count}; are they of one video?")
    first = next((f for f in frames if f.image.is_file()), None)
    if first is None:
        return
    picture = read_picture(first.image).astype(np.float64)  # [H, W, 3]
    numbers = [n for n in range(first.number - 2, first.number + 3) if 0 <= n < count]
    with open_reader(film, on_truncated="keep") as reader:
        shown = reader.read(numbers)  # [<= 5, H, W, 3]
    if shown.shape[1:] != picture.shape:
        raise ValueError(f"{first.image}: the image is of another size than {film}; set data.frames=images")
    differences = np.abs(shown - picture).mean(axis=(1, 2, 3))  # [<= 5], in gray levels
    best, own = int(differences.argmin()), differences[numbers.index(first.number)]
    if own > 3 and differences[best] < own / 2:  # compression alone changes a gray level or two
        raise ValueError(
            f"{first.image}: this is frame {numbers[best]} of {film}, not {first.number}; the frame numbers are "
            f"shifted by {first.number - numbers[best]}"
        )


def _tool_rows(frames: list[_Frame], cholec80: Path, fps: int) -> list[list[int]]:
    tags = []
    refusals = Refusals()
    for video, group in groupby(frames, key=lambda f: f.video):
        path = cholec80 / "tool_annotations" / f"{video}-tool.txt"
        with refusals:
            table = cholec80_files.read_tools(path, fps)
            for frame in group:
                row = frame.number // fps * fps
                with refusals:
                    if row not in table:
                        raise ValueError(
                            f"{path}: no row for frame {row}, of which {frame.mask} takes its tools; restore the file"
                        )
                    tags.append(table[row])
    refusals.tell()
    return tags


def _phase_rows(frames: list[_Frame], cholec80: Path) -> list[int | None]:
    phases: list[int | None] = []
    refusals = Refusals()
    for video, group in groupby(frames, key=lambda f: f.video):
        path = cholec80 / "phase_annotations" / f"{video}-phase.txt"
        with refusals:
            table = cholec80_files.read_phases(path)
            for frame in group:
                with refusals:
                    if frame.number not in table:
                        raise ValueError(
                            f"{path}: no row for frame {frame.number}, which has {frame.mask}; restore the file"
                        )
                    phases.append(table[frame.number])
    refusals.tell()
    return phases


def _warn_of_swapped_columns(tools: NDArray[np.int64], seen: NDArray[np.bool_]) -> None:
    """Warn where another column tells far better than a tool's own when the mask shows it.

    How well is Youden's J: share of 1 where the mask shows the tool minus share of 1 where it does not.

    Args:
        tools: ``[N, 7]`` labels of Cholec80.
        seen: ``[N, C]`` classes that the masks show.
    """
    for name, drawn in (("grasper", _GRASPER), ("hook", _HOOK)):
        with_tool, without = tools[seen[:, drawn]], tools[~seen[:, drawn]]
        if not (len(with_tool) and len(without)):
            continue
        youden = with_tool.mean(axis=0) - without.mean(axis=0)  # [7] in [-1, 1]
        own, best = cholec80_files.TOOLS.classes.index(name), int(youden.argmax())
        if youden[best] > youden[own] + 0.25:
            columns = cholec80_files.TOOL_COLUMNS
            warnings.warn(
                f"cholecseg8k: the masks show a {name} where column {columns[best]} of the tool annotations is 1 "
                f"(hits - false alarms = {youden[best]:.2f}) rather than where column {columns[own]} is "
                f"({youden[own]:.2f}); are the columns swapped?",
                stacklevel=3,
            )
