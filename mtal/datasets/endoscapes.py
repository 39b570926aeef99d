"""Endoscapes2023: frames before the critical view of safety, with boxes on 1,933 of them and masks on 493 of those.

Murali et al., "The Endoscapes Dataset for Surgical Scene Segmentation, Object Detection, and Critical View of Safety
Assessment", arXiv 2312.12429, 2023. Layout ``{train,val,test}/<video>_<frame>.jpg`` (numbers count 25 frames a second,
of which there is one), ``{train,val,test}/annotation_coco.json`` with boxes, ``annotation_ds_coco.json`` beside it with
the critical view of safety, and ``semseg/<video>_<frame>.png``; or ``{train,val,test}_seg`` with the 493 frames alone.
"""

from __future__ import annotations

import glob
import json
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import Size, class_numbers, held_values
from mtal.datasets.text_files import read_text
from mtal.progress import track
from mtal.refusals import Refusals

TOOLS = LabelMap("tools", "frame", False, ("tool",), ((86, 180, 233),))
ANATOMY = LabelMap(
    task="anatomy",
    support="pixel",
    exclusive=True,
    classes=("background", "cystic plate", "calot triangle", "cystic artery", "cystic duct", "gallbladder"),
    colors=((120, 120, 120), (230, 159, 0), (0, 158, 115), (213, 0, 0), (240, 228, 66), (204, 121, 167)),
    values={**{value: value for value in range(6)}, 6: IGNORE, 255: IGNORE},  # 6 is a tool, which hides what is behind
)
CVS = LabelMap(
    task="cvs",
    support="frame",
    exclusive=False,
    classes=("two structures", "triangle cleared", "cystic plate"),
    colors=((86, 180, 233), (0, 158, 115), (230, 159, 0)),
)
"""The three criteria of the critical view of safety."""
_SHIFTED = {
    **{value: value for value in range(5)},
    6: 5,
    7: IGNORE,
    255: IGNORE,
}  # in val/153_32700, the gallbladder is a 6 and tools are 7
_READ = {"images": ("id", "file_name"), "annotations": ("image_id", "category_id"), "categories": ("id", "name")}
FOLDERS = {"train": "pool", "val": "val", "test": "test"}
FPS = 25


def load(root: Path | str) -> SurgicalDataset:
    """The frames with boxes for the tasks tools, anatomy and, where files tell it, cvs; a quarter of them have masks.

    Tools has one class: a box of a tool. Anatomy is the mask: where one was drawn, all five structures were, so that
    its background is known to be none of them; all other frames are not annotated. A criterion of cvs holds where half
    of the three surgeons or more say so. There is no blood. The split is the official one and a video is a patient.

    Args:
        root: folder of ``train``, ``val`` and ``test``, or of ``train_seg`` and so on, and of ``semseg``.

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
    refusals = Refusals()
    for split_folder, split in track(list(FOLDERS.items()), "Reading boxes"):
        name = split_folder if (root / split_folder).is_dir() else f"{split_folder}_seg"
        boxes = root / name / "annotation_coco.json"
        criteria: dict[str, list[int]] = {}
        of_videos: dict[int, dict[str, int]] = {}
        with refusals:
            criteria = _criteria(root / name)
        with refusals:
            of_videos = _tools(boxes)
        for number, tools in of_videos.items():
            video = f"video{number:03d}"
            pattern = f"{glob.escape(str(number))}_*.jpg"
            by_name: dict[str, dict[str, Any]] = {}
            with refusals:
                places, images = folder_rows(video, video, split, root / name, 0, FPS, pattern)
                pictures |= images
                by_name = {image.name: row for image, row in zip(images.values(), places, strict=True)}
            for file, label in tools.items() if by_name else ():
                if file not in by_name:
                    missing = f"{root / name / file}: the image is missing, {boxes} lists it; restore it"
                    refusals.take(FileNotFoundError(missing))
                    continue
                row = by_name[file]
                if row["frame"] % FPS:
                    warnings.warn(
                        f"{root / name / file}: the frame number is no multiple of {FPS} as those of this set are; "
                        "is it shifted?",
                        stacklevel=2,
                    )
                mask = masks.pop(Path(file).stem, None)
                labels = {"tools": [label], "anatomy": mask and SegmentationMask(mask), "cvs": criteria.get(file)}
                rows.append({**row, **labels})
    refusals.tell()  # before what may come of it
    for path in sorted(masks.values()):
        refusals.take(ValueError(f"{path}: the mask belongs to no frame that has boxes; is its number right?"))
    refusals.tell()
    label_maps = (TOOLS, ANATOMY, CVS) if any(row["cvs"] is not None for row in rows) else (TOOLS, ANATOMY)
    return SurgicalDataset.from_rows("endoscapes", rows, label_maps, pictures)


@dataclass(frozen=True)
class SegmentationMask:
    """A mask of which 6 is a tool; but the gallbladder where there is a 7, which is then the tool, and no 5.

    One published mask is so, that of frame 32700 of video 153.
    """

    path: Path

    def read(self, label_map: LabelMap, frame_size: Size | Path | None) -> NDArray[np.uint8]:  # [H, W]
        """See :class:`mtal.datasets.label_table.DrawnMask`."""
        held = held_values(self.path).values
        if 7 in held and 5 not in held:
            label_map = replace(label_map, values=_SHIFTED)
        return class_numbers(self.path, label_map, frame_size)


def _criteria(folder: Path) -> dict[str, list[int]]:
    """Image file → whether each criterion of the critical view of safety holds, for those that were assessed."""
    criteria: dict[str, list[int]] = {}
    refusals = Refusals()
    for path in (folder / "annotation_ds_coco.json", folder / "annotation_coco.json"):
        if not path.is_file():
            continue
        for image in _lists(path, "images")["images"]:
            means = image.get("ds")
            if means is None:
                continue
            if len(means) != len(CVS.classes) or not all(0 <= m <= 1 for m in means):
                wrong = f"{path}: 'ds' of {image['file_name']!r} is {means}; it must be 3 shares of 0 to 1"
                refusals.take(ValueError(wrong))
                continue
            criteria[image["file_name"]] = [int(m >= 0.5) for m in means]
    refusals.tell()
    return criteria


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the boxes are missing; restore the file") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); restore the file") from error


def _lists(path: Path, *names: str) -> dict[str, list[dict[str, Any]]]:
    """Lists of a file, whose entries have what is read of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a list is missing, or an entry lacks something.
    """
    content = _json(path)
    refusals = Refusals(path)
    lists: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ValueError(f"{path}: it has no list {name!r}; restore the file")  # noqa: TRY004
        lists[name] = entries
        for place, entry in enumerate(entries):
            for key in _READ[name]:
                if not isinstance(entry, dict) or not isinstance(entry.get(key), (int, str)):
                    refusals.add(f"{name} without {key!r}", f"entry {place}")
    refusals.tell("restore the file")
    return lists


def _tools(path: Path) -> dict[int, dict[str, int]]:
    """Video → image file → whether a tool has a box."""
    content = _lists(path, "images", "annotations", "categories")
    names = {category["id"]: category["name"] for category in content["categories"]}
    expected = {*(c.replace(" ", "_") for c in ANATOMY.classes[1:]), "tool"}
    if set(names.values()) != expected:
        raise ValueError(f"{path}: the categories are {sorted(names.values())}; they must be {sorted(expected)}")
    refusals = Refusals(path)
    for place, box in enumerate(content["annotations"]):
        if box["category_id"] not in names:
            refusals.add("boxes of categories that are not listed", f"entry {place}: {box['category_id']}")
    refusals.tell("restore the file")
    with_tool = {box["image_id"] for box in content["annotations"] if names[box["category_id"]] == "tool"}
    videos: dict[int, dict[str, int]] = defaultdict(dict)
    for image in content["images"]:
        file, video = image["file_name"], image["file_name"].partition("_")[0]
        with refusals:
            if not video.isdecimal():
                raise ValueError(f"{path}: the image {file!r} is not called <video>_<frame>.jpg")
            if file in videos[int(video)]:
                raise ValueError(f"{path}: the image {file!r} is listed twice; keep one of its entries")
            videos[int(video)][file] = int(image["id"] in with_tool)
    refusals.tell()
    return videos
