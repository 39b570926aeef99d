"""DSAD, the Dresden Surgical Anatomy Dataset: 32 rectal resections, frames with the mask of one organ each.

Carstens et al., "The Dresden Surgical Anatomy Dataset for Abdominal Organ Segmentation in Surgical Data Science",
Scientific Data 10, 2023. Layout ``<organ>/<surgery>/image00.png`` beside ``mask00.png``, white where the organ is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.pixel_labels import MaskFile
from mtal.datasets.splits import assign_splits
from mtal.refusals import Refusals

ORGANS = (
    "abdominal_wall",
    "colon",
    "inferior_mesenteric_artery",
    "intestinal_veins",
    "liver",
    "pancreas",
    "small_intestine",
    "spleen",
    "stomach",
    "ureter",
    "vesicular_glands",
)
ANATOMY = LabelMap(
    task="anatomy",
    support="pixel",
    exclusive=True,
    classes=tuple(organ.replace("_", " ") for organ in ORGANS),
    colors=(
        (210, 140, 140),
        (231, 70, 156),
        (213, 0, 0),
        (0, 114, 178),
        (255, 114, 114),
        (240, 228, 66),
        (204, 121, 167),
        (120, 60, 160),
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
    ),
)
VAL_SURGERIES = ("03", "21", "26")
TEST_SURGERIES = ("02", "07", "11", "13", "14", "18", "20", "32")


def load(
    root: Path | str,
    native_rate_hz: float = 1.0,
    test_videos: Sequence[str] = TEST_SURGERIES,
    val_videos: Sequence[str] = VAL_SURGERIES,
) -> SurgicalDataset:
    """The frames of DSAD for the task anatomy.

    Labels are partial: a frame has the mask of the one organ in whose folder it lies, and nothing says which of the
    other ten is in view beside it. So pixels outside the mask are ignored rather than called background: all that is
    known of them is that they are not that organ, which a class number cannot say. The folder ``multilabel``, which
    repeats frames of ``stomach`` with more masks, is left out.

    A surgery is a patient, and each organ of it a video. The default split is that of the paper.

    Args:
        root: folder of ``abdominal_wall`` and so on.
        native_rate_hz: frames per second that file numbers count. The files do not tell; it is an assumption, used for
            the time between frames and nothing else.
        test_videos: surgeries held out for the test.
        val_videos: surgeries held out for validation.

    Raises:
        FileNotFoundError: the root holds no organ.
        ValueError: an image has no mask or a mask no image, or a split names a surgery that is not there.
    """
    root = Path(root)
    folders = [p for organ in ORGANS for p in sorted((root / organ).glob("*")) if p.is_dir()]
    if not folders:
        raise FileNotFoundError(f"{root}: no organ here; the root of DSAD holds {', '.join(ORGANS)}")
    splits = assign_splits("dsad", {p.name for p in folders}, test_videos, val_videos)
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Path] = {}  # frame_id → file
    refusals = Refusals()
    for folder in folders:
        organ, surgery = folder.parent.name, folder.name
        video = f"{surgery}_{organ}"
        places: list[dict[str, Any]] = []
        images: dict[str, Path] = {}
        with refusals:
            places, images = folder_rows(
                f"surgery{surgery}", video, splits[surgery], folder, 0, native_rate_hz, "image*.png"
            )
        pictures |= images
        masks = {p.name for p in folder.glob("mask*.png")} if images else set()
        for place, image in zip(places, images.values(), strict=True):
            mask = image.with_name(image.name.replace("image", "mask"))
            if mask.name not in masks:
                missing = f"{mask}: the mask is missing, {image.name} is there; restore it"
                refusals.take(FileNotFoundError(missing))
            masks.discard(mask.name)
            values = {0: IGNORE, 255: ORGANS.index(organ)}
            rows.append({**place, "anatomy": MaskFile(mask, values)})
        for name in sorted(masks):
            shifted = f"{folder / name}: the mask has no image of its number; is it shifted?"
            refusals.take(FileNotFoundError(shifted))
    refusals.tell()
    return SurgicalDataset.from_rows("dsad", rows, (ANATOMY,), pictures)
