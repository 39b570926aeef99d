"""What the labels of one task mean on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mtal.refusals import refuse

Value = int | tuple[int, int, int]
"""A gray value or an RGB triple of a mask file."""
Values = Mapping[int, int] | Mapping[tuple[int, int, int], int] | Mapping[Value, int]
"""Value in the file → class number or ``IGNORE``."""

IGNORE = 255
"""Stands for "not annotated" in every label array, frame or pixel; losses, metrics and signals leave it out."""


@dataclass(frozen=True)
class LabelMap:
    """Classes of one task, and how files encode them.

    Targets are ``uint8``. With ``support="frame"`` a frame has ``[C]`` zeros and ones (``exclusive=False``) or one
    class number (``exclusive=True``); with ``support="pixel"`` it has ``[C, H, W]`` zeros and ones or ``[H, W]`` class
    numbers. ``IGNORE`` marks what was not annotated, so a head without labels is all ``IGNORE``.

    Args:
        task: name of the task, such as ``"tools"``.
        support: one label per ``"frame"`` or per ``"pixel"``.
        exclusive: exactly one class per site (categorical) rather than any subset (Bernoulli).
        classes: C class names.
        colors: C distinct RGB triples, for overlays.
        values: for pixel masks, gray value or RGB triple in the file → class number or ``IGNORE``. A value that is not
            listed is an error when met.
        stray: share of a mask's pixels that may have unlisted values all the same, as where a border was smoothed;
            they become ``IGNORE``.

    Raises:
        ValueError: class names, colours or the sizes of the two disagree, a value maps to no class, gray values stand
            beside RGB triples, or ``stray`` is not in [0, 1].
    """

    task: str
    support: Literal["frame", "pixel"]
    exclusive: bool
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    values: Values = field(default_factory=dict)
    stray: float = 0.0

    def __post_init__(self) -> None:
        refuse((f"label map {self.task!r}: {fault}" for fault in self._faults()), what="faults")

    def _faults(self) -> Iterator[str]:
        for what, items in (("class", self.classes), ("colour", self.colors)):
            yield from (f"{what} {x!r} stands twice" for i, x in enumerate(items) if x in items[:i])
        if len(self.classes) != len(self.colors):
            yield f"{len(self.classes)} classes but {len(self.colors)} colours"
        for value, number in self.values.items():
            if number != IGNORE and not 0 <= number < len(self.classes):
                yield f"{'colour' if isinstance(value, tuple) else 'gray'} {value} maps to {number}, which is no class"
        if len({isinstance(value, tuple) for value in self.values}) > 1:
            yield "its values are gray ones and RGB triples; give one kind"
        if not 0 <= self.stray <= 1:
            yield f"stray={self.stray}, but it is a share of the pixels, 0 to 1"

    @property
    def colored(self) -> bool:
        """Masks are coded by RGB triples rather than by gray values."""
        return any(isinstance(value, tuple) for value in self.values)

    def only(self, task: str, classes: Sequence[str]) -> LabelMap:
        """The map of ``task`` with these ``classes`` in this order; pixels of all others are ignored.

        Raises:
            ValueError: there is no such class.
        """
        unknown = [repr(c) for c in classes if c not in self.classes]
        if unknown:
            raise ValueError(
                f"label map {self.task!r} has no class {', no '.join(unknown)}; it has {', '.join(self.classes)}"
            )
        number = {self.classes.index(name): new for new, name in enumerate(classes)}
        values: dict[Value, int] = {value: number.get(old, IGNORE) for value, old in self.values.items()}
        colors = tuple(self.colors[old] for old in number)
        return LabelMap(task, self.support, self.exclusive, tuple(classes), colors, values, self.stray)
