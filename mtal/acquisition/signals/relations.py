"""Which frame labels and pixel classes speak of the same thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mtal.refusals import refuse

_SAME_THING = (
    {"blood", "bleeding"},
    {"hook", "l hook", "l hook electrocautery"},
    {"specimen bag", "specimenbag", "bag"},
    {"irrigator", "suction irrigator"},
    {"clipper", "clip applier"},
)
"""Names that data sets of surgery give to one thing, in lower case with single blanks."""


@dataclass(frozen=True)
class Relation:
    """The frame label says that something is to be seen; the pixel classes say where.

    Args:
        frame: task with one site per frame.
        label: number of its class.
        pixel: task with one site per pixel.
        classes: numbers of its classes that show the same thing; a site shows it if it is of any of them.

    Raises:
        ValueError: a number is negative, or ``classes`` is empty or names one twice.
    """

    frame: str
    label: int
    pixel: str
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.label < 0:
            yield f"label of a relation must be the number of a class, 0 or more, not {self.label}"
        if not self.classes or min(self.classes) < 0 or len(set(self.classes)) < len(self.classes):
            yield f"classes of a relation must be one or more different numbers of classes, not {list(self.classes)}"


def relations_by_name(classes: Mapping[str, tuple[str, Sequence[str]]]) -> list[Relation]:
    """Relate every label of a frame task to the pixel classes of the same name, in the order given.

    Capitals, underscores and hyphens do not matter, and a few names are known to mean the same, such as bleeding and
    blood.

    Args:
        classes: task to its support, ``"frame"`` or ``"pixel"``, and its class names.

    Raises:
        ValueError: a support is neither.

    >>> relations_by_name({"bleeding": ("frame", ["bleeding"]), "anatomy": ("pixel", ["liver", "Blood"])})
    [Relation(frame='bleeding', label=0, pixel='anatomy', classes=(1,))]
    """
    for task, (support, _) in classes.items():
        if support not in ("frame", "pixel"):
            raise ValueError(f"support of {task} must be frame or pixel, not {support!r}")
    names = {
        support: {task: [_meaning(n) for n in names] for task, (s, names) in classes.items() if s == support}
        for support in ("frame", "pixel")
    }
    relations = []
    for frame, labels in names["frame"].items():
        for label, name in enumerate(labels):
            for pixel, candidates in names["pixel"].items():
                same = tuple(c for c, candidate in enumerate(candidates) if candidate == name)
                if same:
                    relations.append(Relation(frame, label, pixel, same))
    return relations


def _meaning(name: str) -> str:
    plain = " ".join(re.split(r"[\s_-]+", name.strip().lower()))
    return next((min(group) for group in _SAME_THING if plain in group), plain)
