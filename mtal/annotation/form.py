"""The form in which frames are handed to annotators and given back: which file and which cell says what."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import numpy.typing as npt

from mtal.annotation.answers import Said
from mtal.annotation.mask_files import grays, mask_folders, painted_colors
from mtal.datasets.label_map import LabelMap
from mtal.suggest import nearest

TABLE = "frames.csv"
NONE, UNKNOWN, DONE, NOT_ASKED = "none", "?", "done", "-"
"""Cells: nothing of it is there, it cannot be told, the mask is right now, nobody asks."""
UNUSABLE, SECONDS = "unusable", "seconds"
"""Columns for the whole frame."""
SEPARATOR = ";"


def column(task: str) -> str:
    """Of ``frames.csv``, in which a head is answered."""
    return f"label/{task}"


def asks(label_map: LabelMap) -> str:
    """What to write into a head's column, in words."""
    if label_map.support == "pixel":
        where = " and ".join(mask_folders(label_map).values())
        return f"correct the mask in {where}, then write {DONE}; {UNKNOWN} if it cannot be told"
    names = ", ".join(label_map.classes)
    if label_map.exclusive:
        return f"write which one it is, {UNKNOWN} if it cannot be told: {names}"
    return (
        f"write all that are there with {SEPARATOR} between them, {NONE} if none is, {UNKNOWN} if it cannot be told: "
        f"{names}"
    )


CELLS = (
    f"A cell that is left empty is still owed, and one with {NOT_ASKED} is not asked for. Write x under {UNUSABLE} if "
    f"the image is good for nothing; it is then never used. Under {SECONDS} there is room for how long an image took. "
    "Save as CSV, and leave names of columns, images and masks as they are."
)
"""What the other cells are for, in words."""


def masks(label_maps: Sequence[LabelMap], width: int) -> dict[str, str]:
    """Title → lines on what the values in the masks of pixel heads mean."""
    sections = {}
    if label_maps:
        sections["GRAY VALUES IN THE MASKS"] = [
            f"{m.task}: {', '.join(f'{gray} = {what}' for gray, what in grays(m).items())}" for m in label_maps
        ]
    if colored := [m for m in label_maps if m.exclusive and painted_colors(m)]:
        sections["OR, IN RGB MODE, COLOURS PAINTED OVER THE GRAY"] = [
            f"{m.task}: {', '.join(f'{r}/{g}/{b} = {m.classes[n]}' for (r, g, b), n in painted_colors(m).items())}"
            for m in colored
        ]
    return {title: "\n".join(fill(line, width) for line in lines) for title, lines in sections.items()}


def tags(cell: str, label_map: LabelMap) -> tuple[Said, npt.NDArray[np.uint8] | None]:
    """What the cell of a head with one answer per frame says.

    Raises:
        ValueError: it names no class, or what cannot be together.

    >>> tools = LabelMap("tools", "frame", False, ("grasper", "hook"), ((0, 0, 1), (0, 0, 2)))
    >>> tags("hook", tools)[1].tolist(), tags("none", tools)[1].tolist(), tags("?", tools)[0].value
    ([0, 1], [0, 0], 'not_annotated')
    """
    names = [part for part in map(str.strip, cell.split(SEPARATOR)) if part]
    if names == [UNKNOWN]:
        return Said.NOT_ANNOTATED, None
    nothing = not label_map.exclusive and [n.lower() for n in names] == [NONE]
    numbers = {n: label_map.classes.index(n) for n in names if n in label_map.classes}
    wrong = [] if nothing else [n for n in names if n not in numbers]
    if wrong or not names:
        said = wrong[0] if wrong else cell
        also = "" if label_map.exclusive else f", {NONE}"
        raise ValueError(
            f"{said!r} is no class of {label_map.task}{nearest(said, label_map.classes)}; write "
            f"{', '.join(label_map.classes)}{also} or {UNKNOWN}"
        )
    if label_map.exclusive:
        if len(numbers) > 1:
            raise ValueError(f"{' and '.join(map(repr, numbers))} exclude each other; keep one")
        return Said.LABELLED, np.array(next(iter(numbers.values())), dtype=np.uint8)
    label = np.zeros(len(label_map.classes), dtype=np.uint8)
    label[list(numbers.values())] = 1
    return Said.LABELLED, label


def is_unusable(cell: str) -> bool:
    """Whether the cell says that a frame is good for nothing.

    Raises:
        ValueError: it says neither.
    """
    if cell.lower() in ("", "0", "no", "false"):
        return False
    if cell.lower() in ("1", "x", "yes", "true", UNUSABLE):
        return True
    raise ValueError(f"{cell!r} says neither that the frame is unusable (x) nor that it is usable (leave it empty)")
