"""The regions of an image as the mask of a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mtal.datasets.annotations.heads import Head
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage
from mtal.datasets.annotations.shapes import Rle, drawn
from mtal.datasets.label_map import IGNORE, LabelMap

Overlap = Literal["smaller", "later"]


@dataclass(frozen=True)
class HeadMask:
    """A mask that is drawn when asked for, see :class:`mtal.datasets.label_table.DrawnMask`.

    Of two regions of classes that exclude each other the smaller one lies on top (``overlap="smaller"``; of equal ones
    the later) or the later one (``"later"``); a higher level comes before either. Regions of no class of the head hide
    what lies below and count as not annotated.

    Args:
        head: whose classes are drawn.
        image: what is marked.
        overlap: what lies on top.
    """

    head: Head
    image: AnnotatedImage
    overlap: Overlap

    @classmethod
    def of(cls, head: Head, image: AnnotatedImage, overlap: Overlap) -> HeadMask | None:
        """The mask, ``None`` where nobody outlined the classes of the head in the image."""
        if not image.annotated or head.lacks_outlines(image):
            return None
        outlined = image.mask is not None or any(mark.kind == "region" for mark in image.marks)
        return cls(head, image, overlap) if outlined or head.rest is not None or not head.exclusive else None

    def read(self, label_map: LabelMap, frame_size: object) -> NDArray[np.uint8]:
        """``[H, W]`` class numbers, or ``[C, H, W]`` of 0 and 1 where classes overlap.

        Args:
            label_map: of the task.
            frame_size: not needed, for that of the image is known.

        Raises:
            FileNotFoundError: an image of a mask is missing.
            ValueError: it is broken, of another size, or holds a value that stands for nothing.
        """
        return self._one_of() if label_map.exclusive else self._any_of()

    def _one_of(self) -> NDArray[np.uint8]:
        """``[H, W]``."""
        head, image = self.head, self.image
        assert head.classes is not None
        # pixels outside may be of a class that nobody looked for
        nothing = IGNORE if head.rest is None or image.unknown & set(head.classes) else 0
        numbers = np.full(image.size, nothing, dtype=np.uint8)
        if image.mask is not None:
            names, categories = image.mask.read(image.size, head.task)
            number = {BACKGROUND: nothing, **{c: head.names.index(name) for c, name in head.classes.items()}}
            lookup = np.full(256, IGNORE, dtype=np.uint8)
            lookup[: len(names)] = [number.get(name, IGNORE) for name in names]
            numbers = lookup[categories]
        for _, rle, of_class in sorted(self._regions(), key=lambda region: region[0]):
            numbers[drawn(rle)] = IGNORE if of_class is None else of_class
        return numbers

    def _any_of(self) -> NDArray[np.uint8]:
        """``[C, H, W]``."""
        head, image = self.head, self.image
        assert head.classes is not None
        layers = np.zeros((len(head.names), *image.size), dtype=np.uint8)
        layers[[head.names.index(name) for category, name in head.classes.items() if category in image.unknown]] = (
            IGNORE
        )
        if image.mask is not None:
            names, categories = image.mask.read(image.size, head.task)
            for k, name in enumerate(names):
                if name in head.classes:
                    layers[head.names.index(head.classes[name]), categories == k] = 1
            layers[:, categories == IGNORE] = IGNORE
        for _, rle, of_class in self._regions():
            if of_class is not None:
                layers[of_class][drawn(rle)] = 1
        return layers

    def _regions(self) -> list[tuple[tuple[int, int, int], Rle, int | None]]:
        """How high it lies, where, and of which class."""
        found = []
        for place, mark in enumerate(self.image.marks):
            if mark.shape is not None:
                rle = mark.shape.rle(self.image.size)
                size = -int(coco_mask.area(rle)) if self.overlap == "smaller" else 0
                found.append(((mark.level, size, place), rle, self.head.number(mark)))
        return found
