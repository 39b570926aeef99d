"""m2caiSeg: 307 frames of two cholecystectomies with masks of organs, fluids and tools.

Maqbool, Riaz, Sajid and Hasan, "m2caiSeg", arXiv 2008.10134, 2020. Layout ``{train,test}/images/0.jpg`` and
``{train,test}/groundtruth/0_gt.png``, whose colours are the classes.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.mask import class_shares
from mtal.refusals import first_of

_COLORS: dict[str, tuple[int, int, int]] = {
    "grasper": (0, 85, 170),
    "bipolar": (0, 85, 255),
    "hook": (0, 170, 85),
    "scissors": (0, 255, 85),
    "clipper": (0, 255, 170),
    "irrigator": (85, 0, 170),
    "specimen bag": (85, 0, 255),
    "trocars": (170, 85, 85),
    "clip": (170, 170, 170),
    "liver": (85, 170, 0),
    "gallbladder": (85, 170, 255),
    "fat": (85, 255, 0),
    "upper wall": (85, 255, 170),
    "artery": (170, 0, 255),
    "intestine": (255, 0, 255),
    "bile": (255, 255, 0),
    "blood": (255, 0, 0),
}
MASK = LabelMap(
    task="mask",
    support="pixel",
    exclusive=True,
    classes=tuple(_COLORS),
    colors=tuple(_COLORS.values()),
    values={(170, 0, 85): IGNORE, (0, 0, 0): IGNORE}  # unknown, and the black rim
    | {color: number for number, color in enumerate(_COLORS.values())},
    stray=0.01,  # borders of some masks were smoothed
)
"""Every class of the masks."""
ANATOMY = MASK.only("anatomy", ("liver", "gallbladder", "fat", "upper wall", "artery", "intestine"))
_TOOL_CLASSES = MASK.classes[:9]
TOOLS = LabelMap("tools", "frame", False, _TOOL_CLASSES, MASK.colors[:9])
BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), (_COLORS["blood"],))
BILE = LabelMap("bile", "frame", False, ("bile",), (_COLORS["bile"],))
FOLDERS = {"train": "pool", "test": "test"}


def load(
    root: Path | str, tool_area: float = 0.001, blood_area: float = 0.001, native_rate_hz: float = 1.0
) -> SurgicalDataset:
    """The frames of m2caiSeg for the tasks tools, bleeding, bile and anatomy.

    All labels come from the mask. Blood and bile are fluids of their own, each with a task, and anatomy ignores both as
    it ignores tools. Train and test frames are of the same two operations and files do not tell which, so test scores
    are optimistic, which is warned of.

    Args:
        root: folder of ``train`` and ``test``.
        tool_area: share of the frame above which a tool is in view.
        blood_area: share of the frame above which there is bleeding, or bile.
        native_rate_hz: frames per second that file numbers count. They are not in the order of time, which the files do
            not tell.

    Raises:
        FileNotFoundError: a folder or a mask is missing.
        ValueError: a mask cannot be read, is of another size than its frame, or holds unknown colours in more than a
            hundredth of its pixels.
    """
    root = Path(root)
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Path] = {}  # frame_id → file
    if lacking := [root / name for name in FOLDERS if not (root / name).is_dir()]:
        raise FileNotFoundError(f"{first_of(lacking)}: no such folder; the root of m2caiSeg holds train and test")
    for name, split in FOLDERS.items():
        places, images = folder_rows("both", name, split, root / name / "images", 0, native_rate_hz)
        masks = [root / name / "groundtruth" / f"{image.stem}_gt.png" for image in images.values()]
        rows += [{**place, "anatomy": mask} for place, mask in zip(places, masks, strict=True)]
        pictures |= images
    shares = class_shares([row["anatomy"] for row in rows], MASK, list(pictures.values()))  # [N, C]
    blood, bile = MASK.classes.index("blood"), MASK.classes.index("bile")
    for row, share in zip(rows, shares, strict=True):
        row["tools"] = (share[: len(_TOOL_CLASSES)] > tool_area).astype(int).tolist()
        row["bleeding"], row["bile"] = [int(share[blood] > blood_area)], [int(share[bile] > blood_area)]
    warnings.warn(
        "m2caiSeg takes the frames to learn from and those to test on from the same two operations, so test scores are "
        "optimistic",
        stacklevel=2,
    )
    return SurgicalDataset.from_rows("m2caiseg", rows, (TOOLS, BLEEDING, ANATOMY, BILE), pictures, disjoint_by="video")
