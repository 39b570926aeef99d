"""Three short recordings whose labels can be computed, as a data set that knows them and as one that does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from miniature import cvat_annotator, film
from PIL import Image

from mtal.annotation.label_studio import brush
from mtal.datasets import videos
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE
from mtal.datasets.label_table import LabelTable

H, W, FRAMES = 48, 64, 14
TOOLS = ("grasper", "hook")
HEADS = (
    "data.heads={tools: {kind: multilabel, classes: [grasper, hook]}, "
    "anatomy: {kind: exclusive, support: pixel, classes: [wall, liver]}}"
)
OPTIONS = (
    "data=videos",
    "strategy=joint_badge",  # no cross-validation
    "data/hygiene=none",
    "data.workers=1",
    "data.test_patients=[carl]",
    HEADS,
    "tasks=all",
    "encoder=timm",
    "encoder.name=test_efficientnet",
    "encoder.frozen=true",
    "logger=none",
    "frames.image_size=[64,64]",
    "model.channels=32",
    "model.hidden=8",
    "loop.initial=4",
    "loop.batch=3",
    "loop.rounds=2",
    "loop.test_frames=5",
    "acquisition.minimum_gap_s=0",
    "trainer.steps=2",
    "trainer.batch_size=4",
    "trainer.accelerator=cpu",
)
"""Three rounds of a second; ``data.root``, ``run_root``, ``cache`` and the oracle are for the test to give."""


def write(root: Path) -> Path:
    """Patients anna and bo are the pool, carl is held out."""
    generator = np.random.default_rng(7)
    for name in ("anna", "bo", "carl"):
        pictures = []
        for frame in range(FRAMES):
            picture = np.where(mask(name, frame)[..., None] == 1, (130, 60, 40), (200, 150, 140))
            for tool, there in enumerate(tags(name, frame)):
                picture[8 + 16 * tool : 18 + 16 * tool, 10:40] = (90 + 90 * tool) if there else picture[0, 0]
            pictures.append((picture + generator.integers(0, 30, (H, W, 3))).clip(0, 255).astype(np.uint8))
        film.write(root / f"{name}.mp4", pictures, fps=1)
    return root


def tags(video: str, frame: int) -> list[int]:
    """Which tools are there."""
    return [(frame * 7 + len(video)) // 3 % 2, (frame * 5 + ord(video[0])) // 2 % 2]


def mask(video: str, frame: int) -> np.ndarray:
    """Wall, from some column on liver, and a border that nobody annotates."""
    found = np.zeros((H, W), dtype=np.uint8)
    found[:, (frame * 11 + ord(video[0])) % W :] = 1
    found[:2] = IGNORE
    return found


def labelled(masks: str, **arguments: Any) -> SurgicalDataset:
    """What :func:`mtal.datasets.videos.load` gives, with the labels; their masks go to the folder ``masks``."""
    dataset = videos.load(**arguments)
    rows = []
    for video, frame, frame_id in dataset.index.table[["video", "frame", "frame_id"]].itertuples(index=False):
        path = Path(masks) / f"{video}_{frame}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask(video, frame)).save(path)
        rows.append({"frame_id": frame_id, "tools": tags(video, frame), "anatomy": path})
    stored = {0: 0, 1: 1, IGNORE: IGNORE}
    maps = tuple(replace(m, values=stored) if m.task == "anatomy" else m for m in dataset.label_maps)
    return SurgicalDataset(dataset.name, dataset.index, maps, LabelTable(pd.DataFrame(rows), maps))


def answer_cvat(folder: Path) -> None:
    """Answer all that is owed in a task of CVAT, and give its export back."""
    images = {}
    for image, frame_id in cvat_annotator.asked(folder).items():
        video, frame = frame_id.rsplit("/", 1)
        there = [name for name, is_there in zip(TOOLS, tags(video, int(frame)), strict=True) if is_there]
        drawn = cvat_annotator.masks("anatomy", ("wall", "liver"), mask(video, int(frame)))
        images[image] = [*(cvat_annotator.tag(f"tools/{name}") for name in there), *drawn, cvat_annotator.tag("done")]
    cvat_annotator.give_back(folder, images, (H, W))


def painted(video: str, frame: int) -> list[dict[str, Any]]:
    """The same answer as results of Label Studio."""
    there = [name for name, is_there in zip(TOOLS, tags(video, frame), strict=True) if is_there]
    found = [chosen("label/tools", *there) if there else chosen("state/tools", "checked, none of these is there")]
    size = {"original_width": W, "original_height": H, "image_rotation": 0}
    about = {"from_name": "label/anatomy", "to_name": "image", "type": "brushlabels"}
    for number, name in enumerate(("wall", "liver")):
        region = mask(video, frame) == number
        if region.any():
            value = {"format": "rle", "rle": brush.encode(region), "brushlabels": [name]}
            found.append({"id": name, **about, "value": value, **size})
    return found


def chosen(control: str, *names: str) -> dict[str, Any]:
    """What was ticked, as a result of Label Studio."""
    about = {"from_name": control, "to_name": "image", "type": "choices", "id": control}
    return {**about, "value": {"choices": list(names)}}


def fill_in(folder: Path, images: slice = slice(None), tasks: tuple[str, ...] = ("tools", "anatomy")) -> None:
    """Answer what is owed in a folder as a person would, with a spreadsheet and a painting program."""
    table = pd.read_csv(folder / "frames.csv", dtype=str, keep_default_na=False, sep=None, engine="python")
    about = json.loads((folder / "request.json").read_text())
    for row in table.index[images]:
        video, frame = table.loc[row, "video"], int(table.loc[row, "frame"])
        if "tools" in tasks:
            there = [name for name, is_there in zip(TOOLS, tags(video, frame), strict=True) if is_there]
            table.loc[row, "label/tools"] = "; ".join(there) or "none"
        if "anatomy" in tasks:
            Image.fromarray(mask(video, frame)).save(folder / "masks/anatomy" / Path(table.loc[row, "image"]).name)
            table.loc[row, "label/anatomy"] = "done"
    assert len(table) == len(about["frames"])
    table.to_csv(folder / "frames.csv", index=False, sep=";")
