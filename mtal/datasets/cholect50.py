"""CholecT50: 50 cholecystectomies with action triplets once a second, of which the tools are used here.

Nwoye et al., "Rendezvous", Medical Image Analysis 78, 2022. Layout ``videos/VID01/000000.png`` (one frame a second,
from 0) and ``labels/VID01.json`` with ``{"annotations": {frame: [15 numbers, …]}, "categories": {…}}``, in which number
0 is the triplet and number 1 the tool, −1 for none.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import LabelMap
from mtal.datasets.splits import assign_splits
from mtal.datasets.text_files import read_text
from mtal.frames.image_folder import FolderSource
from mtal.progress import track
from mtal.refusals import Refusals, first_of

TOOLS = LabelMap(
    task="tools",
    support="frame",
    exclusive=False,
    classes=("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator"),
    colors=((170, 255, 0), (0, 170, 255), (169, 255, 184), (255, 170, 0), (200, 80, 255), (0, 255, 230)),
)
VAL_VIDEOS = tuple(f"VID{n:02d}" for n in (8, 12, 29, 50, 78))
TEST_VIDEOS = tuple(f"VID{n:02d}" for n in (6, 10, 14, 32, 42, 51, 73, 74, 80, 111))
_FILES = f"{'[0-9]' * 6}.png"  # copies have other names
_NUMBERS = 15  # of one triplet


def load(
    root: Path | str, test_videos: Sequence[str] = TEST_VIDEOS, val_videos: Sequence[str] = VAL_VIDEOS
) -> SurgicalDataset:
    """The frames of CholecT50 for the task tools: those of all triplets of a frame.

    The default split is that of the paper. A video is a patient; most are videos of Cholec80 under the same number, so
    what was learnt on one must not be tested on the other.

    Args:
        root: folder of ``videos`` and ``labels``.
        test_videos: held out for the test.
        val_videos: held out for validation.

    Raises:
        FileNotFoundError: a folder or a file of labels is missing.
        ValueError: labels are not in the format, or frames and labels do not go together.
    """
    root = Path(root)
    folders = {p.name: p for p in sorted(root.glob("videos/VID*")) if p.is_dir()}
    if not folders:
        raise FileNotFoundError(f"{root / 'videos'}: no VID01 here; the root of CholecT50 holds videos and labels")
    splits = assign_splits("cholect50", folders, test_videos, val_videos)
    rows: list[dict[str, Any]] = []
    refusals = Refusals()
    for video, folder in track(folders.items(), "Reading labels", total=len(folders)):
        with refusals:
            rows += _labelled(root / "labels" / f"{video}.json", video, splits[video], folder)
    refusals.tell()
    return SurgicalDataset.from_rows("cholect50", rows, (TOOLS,))


def _labelled(path: Path, video: str, split: str, folder: Path) -> list[dict[str, Any]]:
    """The rows of a video."""
    refusals = Refusals()
    with refusals:
        tools = read_tools(path)
    with refusals:
        places, _ = folder_rows(video, video, split, folder, 0, 1.0, _FILES)
    refusals.tell()
    there = {row["frame"] for row in places}
    lacking = sorted(set(tools) - there)
    if lacking:
        raise ValueError(
            f"{path}: frame {first_of(lacking)} has labels but no image in {folder}; there are {len(lacking)} such, "
            "and both count from 0: are the numbers of one shifted?"
        )
    _warn_of_images(folder, there, set(tools))
    return [{**row, "tools": tools[row["frame"]]} for row in places if row["frame"] in tools]


def _warn_of_images(folder: Path, there: set[int], labelled: set[int]) -> None:
    """Say what is left out: images that nobody labelled, and files that are not called as frames are."""
    extra = sorted(there - labelled)
    if extra:
        warnings.warn(
            f"{folder}: {len(extra)} images have no labels and are left out, the first is frame {extra[0]}",
            stacklevel=4,
        )
    others = FolderSource(folder, 0, 1.0).images()
    copies = [path.name for path in others if not fnmatch(path.name, _FILES)]
    if copies:
        warnings.warn(
            f"{folder}: {len(copies)} images are not called 000000.png and so on and are left out, the first is "
            f"{copies[0]}",
            stacklevel=4,
        )


def read_tools(path: Path) -> dict[int, list[int]]:
    """Frame → six zeros and ones.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not in the format, a frame stands twice, or a tool is not the one of its triplet.
    """
    try:
        content = json.loads(read_text(path), object_pairs_hook=lambda pairs: _once(path, pairs))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the labels are missing; restore them or take the video out") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); restore the file") from error
    try:
        names, triplets = content["categories"]["instrument"], content["categories"]["triplet"]
        annotations = content["annotations"]
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing; a file of CholecT50 has annotations and categories") from error
    except TypeError as error:  # a list where names are to stand
        raise ValueError(f"{path}: annotations or categories are no mapping, as they must be ({error})") from error
    if not all(isinstance(part, dict) for part in (names, triplets, annotations)):
        raise ValueError(f"{path}: annotations or categories are no mapping, as they must be; restore the file")
    found = tuple(names.get(str(i)) for i in range(len(TOOLS.classes)))
    if found != TOOLS.classes:
        raise ValueError(f"{path}: the instruments are {found}; they must be {TOOLS.classes}, in this order")
    tools: dict[int, list[int]] = {}
    refusals = Refusals()
    for frame, vectors in annotations.items():
        with refusals:
            if not frame.isdecimal():
                raise ValueError(f"{path}: {frame!r} is no number of a frame; restore the file")
            tools[int(frame)] = _tools(f"{path}, frame {frame}", vectors, names, triplets)
    refusals.tell()
    return tools


def _tools(where: str, vectors: Any, names: Mapping[str, str], triplets: Mapping[str, str]) -> list[int]:
    tools = [0] * len(TOOLS.classes)
    if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
        raise ValueError(f"{where}: it has no list of triplets, each of {_NUMBERS} numbers; restore the file")
    for vector in vectors:
        if len(vector) != _NUMBERS:
            raise ValueError(f"{where}: a triplet has {len(vector)} numbers; it must have {_NUMBERS}")
        if not all(isinstance(n, (int, float)) and n % 1 == 0 for n in vector[:2]):
            raise ValueError(
                f"{where}: triplet {vector[0]} and tool {vector[1]} are no whole numbers; restore the file"
            )
        triplet, tool = int(vector[0]), int(vector[1])
        if tool == -1:
            continue
        if not 0 <= tool < len(tools):
            raise ValueError(f"{where}: tool {tool} is none of 0 to {len(tools) - 1}, nor -1 for none")
        expected = str(triplets.get(str(triplet), "")).partition(",")[0]
        if triplet >= 0 and expected != names[str(tool)]:
            raise ValueError(
                f"{where}: the tool is {names[str(tool)]}, but triplet {triplet} is one of {expected or 'nothing'}; "
                "are the columns swapped?"
            )
        tools[tool] = 1
    return tools


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    refusals = Refusals()
    for key, value in pairs:
        if key in content:
            refusals.take(ValueError(f"{path}: {key!r} stands twice; keep one entry per frame"))
        content[key] = value
    refusals.tell()
    return content
