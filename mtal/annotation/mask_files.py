"""The model's masks as files that annotators correct and that a table reads."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap

_NO_NAME = re.compile(r"[^\w.-]")  # signs that a file name should not have
THERE = 255
"""Gray of a class in a mask of its own."""


def plain(name: str) -> str:
    """A name as that of a file."""
    return _NO_NAME.sub("_", name)


def mask_folders(label_map: LabelMap) -> dict[str, str]:
    """Column of ``frames.csv`` → folder of a pixel head's masks: one, or one for each class where classes overlap.

    >>> mask_folders(LabelMap("organs", "pixel", False, ("liver", "bile duct"), ((1, 0, 0), (2, 0, 0))))
    {'mask/organs/liver': 'masks/organs/liver', 'mask/organs/bile duct': 'masks/organs/bile_duct'}
    """
    task = label_map.task
    if label_map.exclusive:
        return {f"mask/{task}": f"masks/{task}"}
    names = [plain(name) for name in label_map.classes]
    if len({name.casefold() for name in names}) < len(names):
        names = [f"{number}_{name}" for number, name in enumerate(names)]
    return {f"mask/{task}/{c}": f"masks/{task}/{name}" for c, name in zip(label_map.classes, names, strict=True)}


def painted_colors(label_map: LabelMap) -> dict[tuple[int, int, int], int]:
    """Colour that may be painted over the grays of classes that exclude each other → number of its class.

    A class has none whose colour is a gray value of the mask: white, say, is not annotated.

    >>> painted_colors(LabelMap("organs", "pixel", True, ("liver", "fat"), ((255, 255, 255), (255, 0, 0))))
    {(255, 0, 0): 1}
    """
    taken = {(n, n, n) for n in (*range(len(label_map.classes)), IGNORE)}
    return {color: number for number, color in enumerate(label_map.colors) if color not in taken}


def digest(label: NDArray[np.uint8]) -> str:
    """Of the pixels of a label, by which it is known again."""
    return hashlib.blake2b(repr(label.shape).encode() + label.tobytes(), digest_size=16).hexdigest()


def write_masks(folder: Path, file: str, label_map: LabelMap, mask: NDArray[np.uint8]) -> str:
    """Write what is said of one picture by a pixel head, below ``folder`` and named ``file``.

    Args:
        folder: that is handed out.
        file: name of the picture.
        label_map: of the head.
        mask: ``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where classes overlap; 255 where it says
            nothing, which a mask of a class of its own cannot tell from its absence.

    Returns:
        The :func:`digest` of the label that these files are read as.
    """
    label = mask if label_map.exclusive else (mask == 1).astype(np.uint8)
    layers = [label] if label_map.exclusive else label * np.uint8(THERE)
    for to, layer in zip(mask_folders(label_map).values(), layers, strict=True):
        (folder / to).mkdir(parents=True, exist_ok=True)
        Image.fromarray(layer).save(folder / to / file)
    return digest(label)


def grays(label_map: LabelMap) -> dict[str, str]:
    """What the gray values in the masks of a pixel head mean."""
    if not label_map.exclusive:
        return {"0": "not there", str(THERE): "there"}
    return {**{str(number): name for number, name in enumerate(label_map.classes)}, str(IGNORE): "not annotated"}
