"""What the labels of one task mean on disk and in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IGNORE = 255
"""Stands for "not annotated" in every label array, frame or pixel; losses, metrics and signals leave it out."""


@dataclass(frozen=True)
class LabelMap:
    """Classes of one task, and how files encode them.

    Targets are ``uint8``. With ``support="frame"`` a frame has ``[C]`` zeros and ones (``exclusive=False``) or one
    class number (``exclusive=True``); with ``support="pixel"`` it has ``[H, W]`` class numbers. ``IGNORE`` marks what
    was not annotated, so a head without labels is all ``IGNORE``.

    Args:
        task: name of the task, such as ``"tools"``.
        support: one label per ``"frame"`` or per ``"pixel"``.
        exclusive: exactly one class per site (categorical) rather than any subset (Bernoulli).
        classes: C class names.
        colors: C distinct RGB triples, for overlays.
        values: for pixel masks, gray value in the file → class number or ``IGNORE``. A value that is not listed is an
            error when met.

    Raises:
        ValueError: class names, colours or the sizes of the two disagree, or a value maps to no class.
    """

    task: str
    support: Literal["frame", "pixel"]
    exclusive: bool
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    values: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, items in (("class", self.classes), ("colour", self.colors)):
            repeated = [x for i, x in enumerate(items) if x in items[:i]]
            if repeated:
                raise ValueError(f"label map {self.task!r}: {what} {repeated[0]!r} stands twice")
        if len(self.classes) != len(self.colors):
            raise ValueError(f"label map {self.task!r}: {len(self.classes)} classes but {len(self.colors)} colours")
        for value, number in self.values.items():
            if number != IGNORE and not 0 <= number < len(self.classes):
                raise ValueError(f"label map {self.task!r}: gray {value} maps to {number}, which is no class")
