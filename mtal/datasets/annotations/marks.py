"""What annotation files say of images, whatever their format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.annotations.shapes import Shape
from mtal.datasets.label_map import IGNORE, LabelMap, Value
from mtal.datasets.mask import Size, class_numbers

Kind = Literal["tag", "box", "region"]
"""Of the whole image, a place without an outline, or an outline."""
BACKGROUND = "background"
"""The category of pixels of a mask that belong to nothing."""


@dataclass(frozen=True)
class Mark:
    """One thing that somebody marked in an image.

    Args:
        names: its category, and ``category/attribute=value`` for each attribute (``category/attribute`` where it is
            ticked).
        kind: ``"tag"`` of the whole image, ``"box"`` for a place without an outline, or ``"region"``.
        shape: outline of a region.
        level: of two regions, that of the higher level lies on top; of the same level, the later one.
    """

    names: tuple[str, ...]
    kind: Kind
    shape: Shape | None = None
    level: int = 0


@dataclass(frozen=True)
class ClassMask:
    """A mask image of several categories.

    Args:
        path: the file.
        names: gray value or colour → category, or ``None`` for pixels that nobody annotated.
    """

    path: Path
    names: Mapping[Value, str | None]

    def read(self, size: Size, task: str) -> tuple[list[str], NDArray[np.uint8]]:
        """All categories, and for each pixel its place among them (``IGNORE`` where nobody annotated), ``[H, W]``.

        Args:
            size: of the image.
            task: for which it is read, for messages.

        Raises:
            FileNotFoundError: the file is missing.
            ValueError: it is broken, of another size, or holds a value that stands for nothing.
        """
        names = list(dict.fromkeys(name for name in self.names.values() if name is not None))
        values = {value: IGNORE if name is None else names.index(name) for value, name in self.names.items()}
        colors = tuple((0, 0, k) for k in range(len(names)))  # nobody sees them
        return names, class_numbers(self.path, LabelMap(task, "pixel", True, tuple(names), colors, values), size)


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and all that was marked in it.

    Args:
        file: path from :attr:`Annotations.base`, with ``/``.
        where: what to call its entry in messages.
        size: (H, W).
        marks: in the order of the file.
        mask: of several categories, where there is one.
        split: ``pool``, ``val`` or ``test``, where the format tells.
        annotated: somebody looked at it; nothing marked then says that nothing is there.
        unknown: categories that nobody looked for all the same.
    """

    file: str
    where: str
    size: Size
    marks: tuple[Mark, ...] = ()
    mask: ClassMask | None = None
    split: str | None = None
    annotated: bool = True
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Annotations:
    """What a reader found.

    Args:
        source: file or folder of the annotations, for messages.
        base: folder that the images are told from.
        images: those that are frames.
        categories: names that the files list, whether they are used or not.
    """

    source: Path
    base: Path
    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...] = field(default=())


def names_with(category: str, attributes: object) -> tuple[str, ...]:
    """The category and a name for each attribute that is a text or ticked; numbers, such as of tracks, are left out.

    >>> names_with("hook", {"active": True, "hidden": "false", "tissue": "fat", "track_id": 7})
    ('hook', 'hook/active', 'hook/tissue=fat')
    """
    names = [category]
    for key, value in attributes.items() if isinstance(attributes, Mapping) else ():
        text = str(value).lower() if isinstance(value, bool) else value.strip() if isinstance(value, str) else ""
        if text.lower() == "true":
            names.append(f"{category}/{key}")
        elif text and text.lower() != "false":
            names.append(f"{category}/{key}={text}")
    return tuple(names)
