"""The labels of a task in CVAT: what each says of which head, and its colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mtal.annotation import form
from mtal.datasets.annotations.heads import Head
from mtal.datasets.label_map import LabelMap
from mtal.datasets.palette import colors_of
from mtal.suggest import nearest

UNUSABLE, DONE = form.UNUSABLE, form.DONE
"""Tags: the frame is good for nothing; all that was asked of it is answered."""
_LONGEST = 64  # characters that CVAT takes
_BLACK = (0, 0, 0)  # what is not annotated in its masks

Color = tuple[int, int, int]


class CvatLabels:
    """A label ``<head>/<class>`` for every class, ``<head>/done`` and ``<head>/?`` for every head, and two for frames.

    Colours are those of the classes where no other label has them, since CVAT tells labels in masks by their colours.

    Args:
        label_maps: of the heads.

    Raises:
        ValueError: a label would be too long for CVAT, or two would be called the same.
    """

    def __init__(self, label_maps: Iterable[LabelMap]) -> None:
        self.label_maps = {m.task: m for m in label_maps}
        self.heads = {
            m.task: Head(m.task, m.support, m.exclusive, {class_label(m.task, c): c for c in m.classes})
            for m in self.label_maps.values()
        }
        tags = [DONE, UNUSABLE]
        wanted: list[tuple[str, Color | None]] = []
        for m in self.label_maps.values():
            tags += [done_label(m.task), unknown_label(m.task)]
            wanted += [(class_label(m.task, c), color) for c, color in zip(m.classes, m.colors, strict=True)]
        wanted += [(tag, None) for tag in tags]
        names = [name for name, _ in wanted]
        for name in names:
            if len(name) > _LONGEST:
                raise ValueError(f"oracle=cvat: CVAT takes labels of {_LONGEST} signs, and {name!r} has {len(name)}")
            if names.count(name) > 1:
                raise ValueError(f"oracle=cvat: two labels would be called {name!r}; rename the head or the class")
        self.colors = _distinct(wanted)
        self._task_of = {class_label(m.task, c): m.task for m in self.label_maps.values() for c in m.classes}

    def __contains__(self, name: object) -> bool:
        return name in self.colors

    def task_of(self, name: str) -> str | None:
        """The head of a label that is a class; ``None`` for the other labels."""
        return self._task_of.get(name)

    def refuse_unknown(self, name: str, where: str) -> None:
        """Make sure that there is such a label.

        Raises:
            ValueError: there is none.
        """
        if name not in self:
            raise ValueError(
                f"{where}: label {name!r} is none that was asked for{nearest(name, self.colors)}; call it as "
                "labels.json does, or take it out"
            )

    def for_constructor(self) -> list[Mapping[str, Any]]:
        """``labels.json``, as the raw constructor of CVAT takes it."""
        return [
            {
                "name": name,
                "color": "#{:02x}{:02x}{:02x}".format(*color),
                "type": "any" if self._has_pixels(name) else "tag",
                "attributes": [],
            }
            for name, color in self.colors.items()
        ]

    def _has_pixels(self, name: str) -> bool:
        task = self.task_of(name)
        return task is not None and self.label_maps[task].support == "pixel"


def class_label(task: str, name: str) -> str:
    """Of a class of a head."""
    return f"{task}/{name}"


def done_label(task: str) -> str:
    """Of a head that is answered."""
    return f"{task}/{form.DONE}"


def unknown_label(task: str) -> str:
    """Of a head that cannot be told."""
    return f"{task}/{form.UNKNOWN}"


def _distinct(wanted: list[tuple[str, Color | None]]) -> dict[str, Color]:
    """Label → a colour that is no other's, and not black; the one that it wants where that can be."""
    found: dict[str, Color] = {}
    taken = {_BLACK}
    for name, color in wanted:
        if color is not None and color not in taken:
            found[name] = color
            taken.add(color)
    free = (c for c in colors_of(2 * len(wanted) + 1) if c not in taken)
    return {name: found[name] if name in found else next(free) for name, _ in wanted}
