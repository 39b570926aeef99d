"""Endoscapes2023: frames before the critical view of safety, with boxes on 1,933 of them and masks on 493 of those.

Murali et al., "The Endoscapes Dataset for Surgical Scene Segmentation, Object Detection, and Critical View of Safety
Assessment", arXiv 2312.12429, 2023. Layout ``{train,val,test}/<video>_<frame>.jpg`` (numbers count 25 frames a second,
of which there is one), ``{train,val,test}/annotation_coco.json`` with boxes, and ``semseg/<video>_<frame>.png``.
"""

from __future__ import annotations

import glob
import json
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.progress import track

TOOLS = LabelMap("tools", "frame", False, ("tool",), ((86, 180, 233),))
ANATOMY = LabelMap(
    task="anatomy",
    support="pixel",
    exclusive=True,
    classes=("background", "cystic plate", "calot triangle", "cystic artery", "cystic duct", "gallbladder"),
    colors=((120, 120, 120), (230, 159, 0), (0, 158, 115), (213, 0, 0), (240, 228, 66), (204, 121, 167)),
    values={**{value: value for value in range(6)}, 6: IGNORE, 255: IGNORE},  # 6 is a tool, which hides what is behind
)
FOLDERS = {"train": "pool", "val": "val", "test": "test"}
FPS = 25


def load(root: Path | str) -> SurgicalDataset:
    """The frames with boxes for the tasks tools and anatomy; masks are there for a quarter of them.

    Tools has one class: a box of a tool. Anatomy is the mask: where one was drawn, all five structures were, so that
    its background is known to be none of them; all other frames are not annotated. There is no blood. The split is the
    official one and a video is a patient.

    Args:
        root: folder of ``train``, ``val``, ``test`` and ``semseg``.

    Raises:
        FileNotFoundError: a folder, an image or the boxes of a split are missing.
        ValueError: boxes are not in the format, a frame is listed twice, a mask has no frame, or a video is in two
            splits.
    """
    root = Path(root)
    masks = {path.stem: path for path in root.glob("semseg/*.png")}
    if not masks:
        raise FileNotFoundError(
            f"{root / 'semseg'}: no mask here; the root of Endoscapes holds train, val, test, semseg"
        )
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Path] = {}  # frame_id → file
    for name, split in track(list(FOLDERS.items()), "Reading boxes"):
        boxes = root / name / "annotation_coco.json"
        for number, tools in _tools(boxes).items():
            video = f"video{number:03d}"
            pattern = f"{glob.escape(str(number))}_*.jpg"
            places, images = folder_rows(video, video, split, root / name, 0, FPS, pattern)
            pictures |= images
            by_name = {image.name: row for image, row in zip(images.values(), places, strict=True)}
            for file, label in tools.items():
                if file not in by_name:
                    raise FileNotFoundError(f"{root / name / file}: the image is missing, {boxes} lists it; restore it")
                row = by_name[file]
                if row["frame"] % FPS:
                    warnings.warn(
                        f"{root / name / file}: the frame number is no multiple of {FPS} as those of this set are; "
                        "is it shifted?",
                        stacklevel=2,
                    )
                rows.append({**row, "tools": [label], "anatomy": masks.pop(Path(file).stem, None)})
    if masks:
        raise ValueError(f"{min(masks.values())}: the mask belongs to no frame that has boxes; is its number right?")
    return SurgicalDataset.from_rows("endoscapes", rows, (TOOLS, ANATOMY), pictures)


def _tools(path: Path) -> dict[int, dict[str, int]]:
    """Video → image file → whether a tool has a box."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the boxes are missing; restore the file") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); restore the file") from error
    names = {category["id"]: category["name"] for category in content["categories"]}
    expected = {*(c.replace(" ", "_") for c in ANATOMY.classes[1:]), "tool"}
    if set(names.values()) != expected:
        raise ValueError(f"{path}: the categories are {sorted(names.values())}; they must be {sorted(expected)}")
    with_tool = {box["image_id"] for box in content["annotations"] if names[box["category_id"]] == "tool"}
    videos: dict[int, dict[str, int]] = defaultdict(dict)
    for image in content["images"]:
        file, video = image["file_name"], image["file_name"].partition("_")[0]
        if not video.isdecimal():
            raise ValueError(f"{path}: the image {file!r} is not called <video>_<frame>.jpg")
        if file in videos[int(video)]:
            raise ValueError(f"{path}: the image {file!r} is listed twice; keep one of its entries")
        videos[int(video)][file] = int(image["id"] in with_tool)
    return videos
