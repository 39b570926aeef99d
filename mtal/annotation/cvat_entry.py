"""One image of an export, whatever its format: what is marked in it, and what that answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtal.annotation.answers import Said
from mtal.annotation.cvat_labels import DONE, UNUSABLE, CvatLabels, done_label, unknown_label
from mtal.datasets.annotations.head_mask import HeadMask
from mtal.datasets.annotations.marks import AnnotatedImage
from mtal.datasets.annotations.shapes import told
from mtal.datasets.label_map import IGNORE
from mtal.datasets.mask import Size
from mtal.refusals import Refusals


@dataclass(frozen=True)
class Entry:
    """One image of an export.

    Args:
        name: of the picture, with whatever path is before it.
        where: what to call the image in messages.
        stated: (H, W) that the export says it has; ``None`` where it says nothing.
        content: label → what is marked with it, as texts by which it is known again.
        tagged: the format has tags, so that it tells what is done; else all that shows anything is.
        draw: (H, W) and some labels to the image with what is marked with them.
    """

    name: str
    where: str
    stated: Size | None
    content: Mapping[str, list[str]]
    tagged: bool
    draw: Callable[[Size, Collection[str]], AnnotatedImage]

    def check(self, size: Size, labels: CvatLabels) -> None:
        """Make sure that the image is what was asked for.

        Raises:
            ValueError: it is of another size, or has labels that nobody asked for.
        """
        refusals = Refusals()
        with refusals:
            if self.stated is not None and self.stated != size:
                raise ValueError(
                    f"{self.where}: it is {told(self.stated)}, but its frame is {told(size)}; annotate the pictures as "
                    "they were handed out"
                )
        for label in self.content:
            with refusals:
                labels.refuse_unknown(label, self.where)
        refusals.tell()

    def says(self, task: str, labels: CvatLabels) -> Said | None:
        """What it says of a head; ``None`` where that is still owed."""
        if UNUSABLE in self.content:
            return Said.UNUSABLE
        if unknown_label(task) in self.content:
            return Said.NOT_ANNOTATED
        if self.tagged:
            return Said.LABELLED if {DONE, done_label(task)} & set(self.content) else None
        shown = labels.label_maps[task].support == "pixel" and any(labels.task_of(c) == task for c in self.content)
        return Said.LABELLED if shown else None

    def mark(self, task: str, said: Said, labels: CvatLabels) -> str:
        """By which an answer is known again without being drawn."""
        if said is not Said.LABELLED:
            return said
        mine = {label: content for label, content in self.content.items() if labels.task_of(label) == task}
        return hashlib.blake2b(repr(sorted(mine.items())).encode(), digest_size=16).hexdigest()

    def label(self, task: str, size: Size, labels: CvatLabels) -> npt.NDArray[np.uint8] | None:
        """The label of a head that is done; ``None`` where nothing of it is annotated.

        Raises:
            ValueError: something that is marked makes no label.
        """
        head, label_map = labels.heads[task], labels.label_maps[task]
        image = self.draw(size, head.classes or ())
        if head.support == "frame":
            return self._tags(image, task, labels)
        for mark in image.marks:
            if mark.kind != "region":
                raise ValueError(
                    f"{self.where}: {mark.names[0]!r} is a {mark.kind}, which has no outline; draw a mask or a polygon"
                )
        mask = HeadMask(head, image, "later").read(label_map, None)
        return None if (mask == IGNORE).all() else mask

    def _tags(self, image: AnnotatedImage, task: str, labels: CvatLabels) -> npt.NDArray[np.uint8]:
        head = labels.heads[task]
        try:
            tags = head.tags(image, frozenset(name for mark in image.marks for name in mark.names))
        except ValueError:
            there = " and ".join(sorted({repr(mark.names[0]) for mark in image.marks}))
            raise ValueError(f"{self.where}: {there} exclude each other; keep one") from None
        if tags is None:
            raise ValueError(
                f"{self.where}: {task} is done, and has none of the tags {', '.join(head.classes or ())}; give it one, "
                f"or {unknown_label(task)}"
            )
        return np.array(tags, dtype=np.uint8)
