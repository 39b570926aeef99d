"""Three patients in the layout of Endoscapes2023, one of them in each split; masks on two of the frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from miniature.squares import H, W, grow, picture, save

CATEGORIES = ("cystic_plate", "calot_triangle", "cystic_artery", "cystic_duct", "gallbladder", "tool")
BOXES = {  # split → image → categories of its boxes
    "train": {"1_750.jpg": ["gallbladder", "tool"], "1_1500.jpg": ["cystic_duct"], "11_750.jpg": []},
    "val": {"121_25.jpg": ["tool", "tool"]},
    "test": {"162_50.jpg": ["gallbladder"]},
}
MASK = [[0, 0, 1, 2], [3, 4, 5, 6], [255, 5, 5, 6]]


def write(root: Path) -> Path:
    """Pictures tell the number of their video by their gray value."""
    for split, images in BOXES.items():
        for name in images:
            save(root / split / name, picture(int(name.partition("_")[0])))
        write_boxes(root, split, images)
    save(root / "train" / "1_775.jpg", picture(0))  # a frame without boxes
    for stem in ("1_750", "162_50"):
        save(root / "semseg" / f"{stem}.png", np.dstack([grow(MASK)] * 3))
    return root


def write_boxes(
    root: Path, split: str, images: Mapping[str, Iterable[str]], categories: Sequence[str] = CATEGORIES
) -> None:
    """The file of boxes of one split."""
    content = {
        "images": [{"id": 40 + i, "file_name": name, "width": W, "height": H} for i, name in enumerate(images)],
        "annotations": [
            {"id": i, "image_id": 40 + list(images).index(name), "category_id": 1 + CATEGORIES.index(category)}
            for i, (name, category) in enumerate((n, c) for n, cs in images.items() for c in cs)
        ],
        "categories": [{"id": 1 + i, "name": name} for i, name in enumerate(categories)],
    }
    (root / split / "annotation_coco.json").write_text(json.dumps(content))
