"""The model's masks as files that annotators correct and that a table reads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtal.datasets.label_map import IGNORE
from mtal.tasks.task import Task

NO_NAME = re.compile(r"[^\w.-]")
"""Signs that a file name should not have."""
THERE = 255
"""Gray of a class in a mask of its own."""


def mask_folders(task: Task) -> dict[str, str]:
    """Column of ``frames.csv`` → folder of a pixel head's masks: one, or one for each class where classes overlap.

    >>> from mtal.datasets.label_map import LabelMap
    >>> mask_folders(Task(LabelMap("organs", "pixel", False, ("liver", "bile duct"), ((1, 0, 0), (2, 0, 0)))))
    {'mask/organs/liver': 'masks/organs/liver', 'mask/organs/bile duct': 'masks/organs/bile_duct'}
    """
    if task.family == "categorical":
        return {f"mask/{task.name}": f"masks/{task.name}"}
    names = [NO_NAME.sub("_", name) for name in task.classes]
    if len({name.casefold() for name in names}) < len(names):
        names = [f"{number}_{name}" for number, name in enumerate(names)]
    return {f"mask/{task.name}/{c}": f"masks/{task.name}/{name}" for c, name in zip(task.classes, names, strict=True)}


def write_masks(folder: Path, file: str, task: Task, mask: NDArray[np.uint8]) -> None:
    """Write what a pixel head says of one picture, below ``folder`` and named ``file``.

    Args:
        folder: of the selection.
        file: name of the picture.
        task: the head.
        mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where classes overlap; 255 where it says
            nothing, which a mask of a class of its own cannot tell from its absence.
    """
    layers = [mask] if task.family == "categorical" else (mask == 1) * np.uint8(THERE)
    for to, layer in zip(mask_folders(task).values(), layers, strict=True):
        (folder / to).mkdir(parents=True, exist_ok=True)
        Image.fromarray(layer).save(folder / to / file)


def grays(task: Task) -> dict[str, str]:
    """What the gray values in the masks of a pixel head mean."""
    if task.family == "bernoulli":
        return {"0": "not there", str(THERE): "there"}
    return {**{str(number): name for number, name in enumerate(task.classes)}, str(IGNORE): "not annotated"}
